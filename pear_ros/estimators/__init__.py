# SPDX-License-Identifier: Apache-2.0
"""From regions of an image to bodies: the interface, its implementations, the factory."""
