# SPDX-License-Identifier: Apache-2.0
"""`pear view`: results in a web browser."""
