"""Lock the newest releases, and say what changed: `python -m tests.lock`."""

import json
import subprocess
from typing import Any

from tests.processes import ROOT

LOCK = ROOT / "Pipfile.lock"


def versions(lock: dict[str, Any]) -> dict[str, str]:
    """Return the version of each package."""
    packages = lock["default"] | lock["develop"]
    return {name: package["version"].removeprefix("==") for name, package in packages.items()}


def main() -> None:
    old = versions(json.loads(LOCK.read_text()))
    subprocess.run(["pipenv", "lock"], cwd=ROOT, check=True)

    lock = json.loads(LOCK.read_text())
    lock["_meta"]["sources"] = []  # the next machine has an index of its own
    LOCK.write_text(f"{json.dumps(lock, indent=4, sort_keys=True)}\n")

    new = versions(lock)
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, "none"), new.get(name, "none")
        if before != after:
            print(f"{name}: {before} -> {after}")


if __name__ == "__main__":
    main()
