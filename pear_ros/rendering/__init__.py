# SPDX-License-Identifier: Apache-2.0
"""Pictures of meshes: rasteriser, overlay, side view, colours."""
