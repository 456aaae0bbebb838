# SPDX-License-Identifier: Apache-2.0
"""`pear bench`: measurement of each stage's time on this machine, with any video or bag."""
