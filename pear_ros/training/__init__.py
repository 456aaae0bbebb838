# SPDX-License-Identifier: Apache-2.0
"""Training of PEAR's network, by the command `pear train`; needs the extra `train`."""
