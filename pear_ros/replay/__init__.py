# SPDX-License-Identifier: Apache-2.0
"""Replay of recorded bags through the node's pipeline, in one process or many."""
