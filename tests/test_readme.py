"""The README: its promises are held by tests, its commands run, its figures and links are right."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.conftest import IN_A_CHECKOUT
from tests.processes import ROOT, Process, copy_project, free_port, run

README = (ROOT / "README.md").read_text()
BLOCKS = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
TEXT = BLOCKS.sub("", README)
TESTS = {path.name: path.read_text() for path in (ROOT / "tests").glob("test_*.py")}

# Nobody runs these here: they take an account with the platform, or measure for long.
BY_HAND = ("heroku ", ".venv/bin/pipenv run mutants", ".venv/bin/pytest -s tests/benchmark.py")

COMMANDS = [
    *(line for kind, block in BLOCKS.findall(README) if kind == "sh" for line in block.split("\n")),
    *re.findall(r"`((?:\.venv/bin/|heroku )[^`]+)`", TEXT),
]
A_FEW_TESTS = "--cov-fail-under=0 tests/test_index.py"
RUN_HERE = sorted({line.strip() for line in COMMANDS} - {""})
RUN_HERE = [command for command in RUN_HERE if not command.startswith(BY_HAND)]


def promises() -> list[tuple[str, list[str]]]:
    """Return each promise, with the tests that it names."""
    table = TEXT.split("## What it promises\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    return [(row[-2], re.findall("`([^`]+)`", row[-1])) for row in rows[2:]]


def test_every_promise_names_tests_that_there_are() -> None:
    for promise, tests in promises():
        assert tests, promise
        for test in tests:
            file, _, function = test.partition("::")
            assert f"def {function or 'test_'}" in TESTS.get(file, ""), f"{promise}: {test}"


def test_every_link_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {f"#{heading.lower().replace(' ', '-')}" for heading in headings}

    for target in re.findall(r'\]\(([^)]+)\)|src="([^"]+)"', TEXT):
        link = "".join(target)
        assert link in anchors or link.startswith("https://") or (ROOT / link).exists(), link


def test_the_size_is_right() -> None:
    (figure,) = re.findall(r"is about ([\d,]+) lines to read", TEXT)
    (command,) = (command for command in RUN_HERE if command.startswith("cat "))

    counted = int(run(command))

    assert f"{round(counted, -2):,}" == figure


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it is now, installed, with a change to commit and a place to push it."""
    folder = tmp_path_factory.mktemp("readme") / "site"
    folder.mkdir()
    copy_project(folder)
    run("git init --quiet --initial-branch=main && git init --quiet --bare ../platform", folder)
    run("git remote add heroku ../platform && git config user.name Reader", folder)
    run("git config user.email reader@site.test && git add --all", folder)
    run("git commit --quiet --message Start && touch change", folder)
    run(f"{sys.executable} -m venv .venv && .venv/bin/pip install --quiet pipenv", folder)
    run(".venv/bin/pipenv sync --dev", folder)
    return folder


@pytest.mark.server
@IN_A_CHECKOUT
@pytest.mark.parametrize("command", RUN_HERE)
def test_a_command_runs(clone: Path, command: str) -> None:
    if not re.search(r"flask run|run start", command):
        run(command, clone, PYTEST_ADDOPTS=A_FEW_TESTS)
        return
    port = free_port()
    env = {"FLASK_RUN_PORT": str(port)}
    process = Process(f"bash -c {shlex.quote(command)}", port, env=env, cwd=clone)
    try:
        process.wait_until_up(120)
        assert "Newcomer" in process.get("/user/Newcomer").text
    finally:
        process.stop()
