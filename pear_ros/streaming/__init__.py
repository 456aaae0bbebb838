# SPDX-License-Identifier: Apache-2.0
"""Live motion of one person for humanoids and avatars: selection, rate limits, protocols."""
