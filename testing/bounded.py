# SPDX-License-Identifier: Apache-2.0
"""Run Python code in processes with little memory and time."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = 60
"""Much more than any use needs, also on a busy machine; what never ends is stopped."""
_SERVER = """
import json, os, resource, signal, sys, traceback
for line in sys.stdin:
    imports, code, arguments, size, seconds, folder = json.loads(line)
    exec(imports)
    child = os.fork()
    if child == 0:
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT), number)
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(seconds)
        sys.argv = ["-c", *arguments]
        failed = 0
        try:
            exec(code, {"__name__": "__main__"})
        except SystemExit as end:
            failed = 1 if end.code else 0
            print(end.code or "", file=sys.stderr)
        except BaseException:
            traceback.print_exc()
            failed = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(failed)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class BoundedProcesses:
    """Runs code in processes of its own, each forked from one that has done the imports."""

    def __init__(self, imports: str = "") -> None:
        """`imports`: code that need not be done again for each process."""
        self._imports = imports
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                "PYTHONPATH": ":".join([str(Path(__file__).parents[1]), *filter(None, sys.path)]),
                "OPENBLAS_NUM_THREADS": "1",
                "PATH": "/usr/bin:/bin",
            },
        )

    def __call__(self, code: str, *arguments: str, megabytes: int = 1200) -> str:
        """Run `code` in a process of its own; return what it prints on stdout.

        Raises AssertionError where it fails, as with more than so many megabytes of address space.
        """
        assert self._server.stdin is not None and self._server.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            request = self._imports, code, arguments, megabytes << 20, SECONDS, folder
            print(json.dumps(request), file=self._server.stdin, flush=True)
            status = self._server.stdout.readline().strip()
            assert status == "0", (status, Path(folder, "err").read_text()[-3000:])
            return Path(folder, "out").read_text()

    def close(self) -> None:
        """End the process from which the others are forked."""
        self._server.communicate()


def run_bounded(code: str, *arguments: str, megabytes: int = 1200) -> str:
    """Run `code` as BoundedProcesses do, once."""
    processes = BoundedProcesses()
    try:
        return processes(code, *arguments, megabytes=megabytes)
    finally:
        processes.close()
