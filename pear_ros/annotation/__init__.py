# SPDX-License-Identifier: Apache-2.0
"""Annotated people as training samples: modules, fit, checks, and shards of WebDataset."""
