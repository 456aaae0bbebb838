# SPDX-License-Identifier: Apache-2.0
"""The estimators, from regions of an image to people, and the factory that makes them."""
