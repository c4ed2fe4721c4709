"""Commands of a shell, run to their end."""

import os
import subprocess
from pathlib import Path

from tests.processes import ROOT


def run(command: str, cwd: Path = ROOT, **env: str) -> str:
    """Run a command to its end, as in a new shell, and return its output."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COV", "PYTEST", "PIPENV_", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env=inherited | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
