# SPDX-License-Identifier: Apache-2.0
"""The checks of `pear doctor`: that this installation is complete, consistent and working.

There is one module for each group of checks. Libraries, drivers and DDS, which may crash or hang
the process that uses them, are probed in separate processes (pear_ros.cli.doctor.probe_process).
"""
