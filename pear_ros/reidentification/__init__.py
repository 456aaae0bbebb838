# SPDX-License-Identifier: Apache-2.0
"""Re-identification: the same id for people who leave and return within minutes."""
