# SPDX-License-Identifier: Apache-2.0
"""Recorded bags through the node's pipeline: every image, into new bags, by one process or many."""
