# SPDX-License-Identifier: Apache-2.0
"""Accuracy on labelled pictures and clips: readers of labels, metrics, reports."""
