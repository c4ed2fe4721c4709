"""Commands of a shell, run to their end."""

import os
import subprocess
import sys
from pathlib import Path

from tests.processes import ROOT

BIN = Path(sys.executable).parent
IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in {"NAME": "Ada", "EMAIL": "ada@site.test"}.items()
}


def inherited(*left_out: str) -> dict[str, str]:
    """Return the environment without what sets up Flask or git, and these."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FLASK_", "GIT_", *left_out))
    }


def run(command: str, cwd: Path = ROOT, **env: str) -> str:
    """Run a command to its end, as in a new shell, and return its output."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env=inherited("COV", "PYTEST", "PIPENV_", "VIRTUAL_ENV") | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def startproject(*arguments: object, cwd: Path = ROOT, before: str = "true") -> tuple[int, str]:
    """Run `flask startproject` as a shell does; return its exit status and its output."""
    done = subprocess.run(
        [
            "bash",
            "-c",
            f'{before}; exec "$0" startproject "$@"',
            BIN / "flask",
            *map(str, arguments),
        ],
        cwd=cwd,
        env=inherited() | IDENTITY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def make_site(name: str, folder: Path, cwd: Path = ROOT) -> Path:
    status, output = startproject(name, folder, cwd=cwd)
    assert status == 0, output
    return folder


def edit(file: Path, old: str, new: str) -> None:
    """Replace the first occurrence of a text in a file."""
    text = file.read_text()
    assert old in text, f"{file} has no {old!r}"
    file.write_text(text.replace(old, new, 1))


def commit(repository: Path, subject: str) -> None:
    run(f"git add --all && git commit --quiet --message '{subject}'", repository, **IDENTITY)


def make_checkout(folder: Path) -> Path:
    """Make a repository with all files of this one, as they are now, and one commit."""
    files = "git ls-files -z --cached --others --exclude-standard"
    run(f"git init --quiet {folder} && {files} | xargs -0 cp --parents -t {folder}")
    commit(folder, "Everything")
    return folder
