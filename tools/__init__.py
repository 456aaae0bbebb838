# SPDX-License-Identifier: Apache-2.0
"""Set-up, and the scripts that make what the package ships; run with `python -m` from the root."""
