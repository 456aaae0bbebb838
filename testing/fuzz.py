# SPDX-License-Identifier: Apache-2.0
"""Try random input until the time is up or a fault is found; `make fuzz` runs this."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from itertools import count


def fuzz(seconds: float, arguments: list[str], first_seed: int) -> int:
    """Run test/fuzz with one seed after the other; return pytest's exit code of the last run."""
    end = time.monotonic() + seconds
    for seed in count(first_seed):
        print(f"Seed {seed}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--timeout=0", "test/fuzz"]
        profile = ["--hypothesis-profile=fuzz", f"--hypothesis-seed={seed}"]
        code = subprocess.run([*command, *profile, *arguments]).returncode
        if code:
            print(f"To repeat it: python -m testing.fuzz --seed {seed} {' '.join(arguments)}")
            return code
        if time.monotonic() > end:
            return 0
    raise AssertionError("there is always another seed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="start no run after these")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first run")
    own, others = parser.parse_known_args()
    sys.exit(fuzz(own.seconds, others, own.seed))
