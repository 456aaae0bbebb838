# SPDX-License-Identifier: Apache-2.0
"""The subcommands of `pear`, one module each: HELP, `add_arguments(parser)`, `run(options)`.

DESCRIPTION and EPILOG are optional: texts of `pear SUBCOMMAND --help`, printed as they are. These
modules import nothing heavy; what a subcommand needs is imported when it runs.
"""
