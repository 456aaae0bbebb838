# SPDX-License-Identifier: Apache-2.0
"""Pictures of meshes: rasteriser, shading, overlay, side view, contact sheet, colours."""
