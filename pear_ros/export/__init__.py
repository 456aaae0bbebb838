# SPDX-License-Identifier: Apache-2.0
"""Results taken elsewhere: recorded people as arrays, as a table, as an animation."""
