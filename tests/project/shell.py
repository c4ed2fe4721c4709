"""Commands of a shell, and `flask startproject`, run to their end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from blasto.startproject import startproject as command

from tests.processes import ROOT

BIN = Path(sys.executable).parent
OF_THE_TESTS = ("FLASK_", "COV", "PYTEST", "PIPENV_", "VIRTUAL_ENV")
GIT = {"GIT_CONFIG_GLOBAL": f"{ROOT}/tests/project/gitconfig", "GIT_CONFIG_NOSYSTEM": "1"}


def run(command: str, cwd: Path = ROOT, **env: str) -> str:
    """Run a command to its end, as in a new shell, and return its output."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(OF_THE_TESTS)}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env=inherited | GIT | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def commit(repository: Path, subject: str) -> None:
    run(f"git add --all && git commit --quiet --message '{subject}'", repository)


def startproject(*arguments: object, root: Path = ROOT, **env: str) -> tuple[int, str]:
    """Run `flask startproject` with a checkout; return its exit status and its output."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("newsite", "startproject"):
            patch.setattr(f"blasto.{module}.ROOT", root)
        for name, value in (GIT | env).items():
            patch.setenv(name, value)
        result = CliRunner().invoke(command, [*map(str, arguments)])
    assert isinstance(result.exception, SystemExit | None), result.output
    return result.exit_code, result.output


def rejected(*arguments: object, root: Path = ROOT, **env: str) -> str:
    """Return the one line with which `flask startproject` ends."""
    status, output = startproject(*arguments, root=root, **env)
    message = output.splitlines()[-1]
    assert status
    assert message.startswith("Error: ")
    return message


def make_site(root: Path, folder: Path) -> Path:
    status, output = startproject("shop", folder, root=root)
    assert status == 0, output
    return folder


def edit(file: Path, old: str, new: str) -> None:
    """Replace the first occurrence of a text in a file."""
    text = file.read_text()
    assert old in text, f"{file} has no {old!r}"
    file.write_text(text.replace(old, new, 1))
