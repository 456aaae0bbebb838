# SPDX-License-Identifier: Apache-2.0
"""Further nodes: HRI (REP-155), a video as a camera."""
