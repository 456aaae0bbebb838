# SPDX-License-Identifier: Apache-2.0
"""Known vulnerabilities and licences of the pinned Python packages: `make audit`.

Vulnerabilities come from the database at osv.dev; without a network only licences are printed.
Licences are those that the installed packages state; libraries that a wheel brings along may have
others, so their names are listed. The exit status is 1 where a vulnerability is known.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from tools.hashes import HASHES, normal

_DATABASE = "https://api.osv.dev/v1/querybatch"
_SECONDS = 20.0


def main() -> int:
    """Print both; return the exit status."""
    pins = [line.split()[0].split("==") for line in HASHES.read_text().splitlines()]
    pinned = [(name, version) for name, version in pins]
    print(licences_text(pinned, {normal(one.name): one for one in distributions()}))
    try:
        found = vulnerabilities(pinned)
    except (OSError, ValueError, KeyError) as error:
        print(f"Vulnerabilities are not known: {_DATABASE} cannot be reached ({error}).")
        return 0
    for name, ids in found.items():
        print(f"{name}: {', '.join(ids)}  https://osv.dev/list?q={ids[0]}")
    print(f"{sum(map(len, found.values()))} known vulnerabilities in {len(pinned)} packages.")
    print(
        "The database covers Python packages, not ROS 2's libraries within wheels: see SECURITY.md."
    )
    return 1 if found else 0


def vulnerabilities(pinned: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the ids of known vulnerabilities by package. Raises OSError without a network."""
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
        for name, version in pinned
    ]
    request = urllib.request.Request(
        _DATABASE, json.dumps({"queries": queries}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=_SECONDS) as reply:
        results: list[dict[str, Any]] = json.load(reply)["results"]
    return {
        f"{name} {version}": sorted(one["id"] for one in result["vulns"])
        for (name, version), result in zip(pinned, results, strict=True)
        if result.get("vulns")
    }


def licences_text(pinned: Iterable[tuple[str, str]], installed: Mapping[str, Distribution]) -> str:
    """Return a line for each pinned package that is installed: licence, and libraries it brings."""
    lines = []
    for name, version in pinned:
        found = installed.get(name)
        if found is not None and found.version == version:
            brings = libraries(found)
            also = f"; brings {', '.join(brings)}" if brings else ""
            lines.append(f"{name} {version}: {licence(found)}{also}")
    return "\n".join(lines)


def licence(package: Distribution) -> str:
    """Return what a package states about its licence."""
    about = package.metadata
    classifiers = [
        one.rsplit(" :: ", 1)[-1]
        for one in about.get_all("Classifier") or ()
        if one.startswith("License ::")
    ]
    (expression, *_), (text, *_) = (
        about.get_all(key) or [""] for key in ("License-Expression", "License")
    )
    text = expression or "; ".join(classifiers) or text
    return text.strip().split("\n")[0][:80] or "not stated"


def libraries(package: Distribution) -> list[str]:
    """Return the shared libraries of others that a wheel brings along."""
    names = {
        re.sub(r"[-.].*", "", Path(str(file)).name)
        for file in package.files or ()
        if ".libs/" in str(file)
    }
    return sorted(names)


if __name__ == "__main__":
    sys.exit(main())
