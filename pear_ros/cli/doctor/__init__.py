# SPDX-License-Identifier: Apache-2.0
"""What a support thread would ask of a machine, looked up and judged: the checks of `pear doctor`.

One module for each group of checks. Whatever may end or hang a process (libraries, drivers, DDS) is
asked in a process of its own, see `pear_ros.cli.doctor.child`.
"""
