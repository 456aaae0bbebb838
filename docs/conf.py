# SPDX-License-Identifier: Apache-2.0
"""Sphinx makes the site of these pages; they are plain Markdown that a code host shows, too."""

from pear_ros import __version__

project = "pear_ros"
author = "the pear_ros maintainers"
copyright = author
release = __version__

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3  # links to headings, named as on code hosts

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_title = "pear_ros"
html_show_copyright = False
html_copy_source = False
