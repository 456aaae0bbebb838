# SPDX-License-Identifier: Apache-2.0
"""Export of recorded people as arrays (npz), as a table (csv) and as an animation (glb)."""
