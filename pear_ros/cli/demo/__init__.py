# SPDX-License-Identifier: Apache-2.0
"""`pear demo`: the demo clip through the real node."""
