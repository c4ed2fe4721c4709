"""Locks the newest releases and prints what changed: `python -m tests.tools.lock`."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

LOCK = Path("Pipfile.lock")

# Pipenv writes the indexes of pip's configuration into the lock file's hash, and a machine with
# another configuration would reject it.
PLAIN_PIP = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "", "PIP_EXTRA_INDEX_URL": ""}


def versions(lock: dict[str, Any]) -> dict[str, str]:
    """Return the version of each package."""
    packages = lock["default"] | lock["develop"]
    return {name: package["version"].removeprefix("==") for name, package in packages.items()}


def main() -> None:
    old = versions(json.loads(LOCK.read_text()))
    plain = {name: value for name, value in (os.environ | PLAIN_PIP).items() if value}
    subprocess.run(["pipenv", "lock"], env=plain, check=True)

    lock = json.loads(LOCK.read_text())
    lock["_meta"]["sources"] = []  # each machine has an index of its own
    LOCK.write_text(f"{json.dumps(lock, indent=4, sort_keys=True)}\n")

    new = versions(lock)
    for name in sorted({name for name, _ in old.items() ^ new.items()}):
        print(f"{name}: {old.get(name, 'none')} -> {new.get(name, 'none')}")


if __name__ == "__main__":
    main()
