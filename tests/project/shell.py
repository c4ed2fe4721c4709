"""Commands of a shell, and `flask startproject`, run to their end."""

import os
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE, STDOUT

import pytest

from blasto.app import create_app

from tests.processes import ROOT

BIN = Path(sys.executable).parent
OF_THE_TESTS = ("FLASK_", "COV", "PYTEST", "PIPENV_", "VIRTUAL_ENV")
GIT = {"GIT_CONFIG_GLOBAL": f"{ROOT}/tests/project/gitconfig", "GIT_CONFIG_NOSYSTEM": "1"}
TREE = "git rev-parse HEAD^{tree}"


def run(command: str, cwd: Path = ROOT, **env: str) -> str:
    """Run a command to its end, as in a new shell, and return its output."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(OF_THE_TESTS)}
    shell, env = ["bash", "-c", command], inherited | GIT | env
    done = subprocess.run(
        shell, cwd=cwd, env=env, stdout=PIPE, stderr=STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def commit(repository: Path, subject: str) -> None:
    run(f"git add --all && git commit --quiet --message '{subject}'", repository)


def startproject(*arguments: object, root: Path = ROOT, fails: bool = False, **env: str) -> str:
    """Run `flask startproject` with a checkout, and return its output."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("newsite", "startproject"):
            patch.setattr(f"blasto.{module}.ROOT", root)
        runner = create_app().test_cli_runner(env=GIT | env, catch_exceptions=False)
        result = runner.invoke(args=["startproject", *map(str, arguments)])
    assert bool(result.exit_code) == fails, result.output
    return result.output


def rejected(*arguments: object, root: Path = ROOT, **env: str) -> str:
    """Return the one line with which `flask startproject` ends."""
    message = startproject(*arguments, root=root, fails=True, **env).splitlines()[-1]
    assert message.startswith("Error: ")
    return message


def edit(file: Path, old: str, new: str) -> None:
    """Replace the first occurrence of a text in a file."""
    text = file.read_text()
    assert old in text, f"{file} has no {old!r}"
    file.write_text(text.replace(old, new, 1))
