"""Locks the newest releases: `python -m tests.tools.lock`."""

import json
import os
import subprocess
from pathlib import Path

LOCK = Path("Pipfile.lock")

# Pipenv writes the indexes of pip's configuration into the lock file's hash, and a machine with
# another configuration would reject it.
PLAIN_PIP = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "", "PIP_EXTRA_INDEX_URL": ""}


def main() -> None:
    plain = {name: value for name, value in (os.environ | PLAIN_PIP).items() if value}
    subprocess.run(["pipenv", "lock"], env=plain, check=True)

    lock = json.loads(LOCK.read_text())
    lock["_meta"]["sources"] = []  # each machine has an index of its own
    LOCK.write_text(f"{json.dumps(lock, indent=4, sort_keys=True)}\n")
    subprocess.run(["pipenv", "sync", "--dev"], check=True)  # so that the tests run with them


if __name__ == "__main__":
    main()
