# SPDX-License-Identifier: Apache-2.0
"""Published datasets of people, as their owners distribute them, and their protocols."""
