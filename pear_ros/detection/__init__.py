# SPDX-License-Identifier: Apache-2.0
"""Detection of people: boxes in which they may be."""
