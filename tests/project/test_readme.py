"""The READMEs: their commands, links and tests exist."""

import re
import shlex
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.project.shell import run

README = (ROOT / "README.md").read_text()
PROMISES = (ROOT / "tests" / "README.md").read_text()
COMMANDS = sorted(set(re.findall(r"`(\.venv/bin/[^` ]+ [^`]+)`", README + PROMISES)))


def block(heading: str) -> str:
    """Return the commands in the one `sh` block of a section."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    commands: list[str] = re.findall(r"^```sh\n(.*?)\n```$", section, re.MULTILINE | re.DOTALL)
    assert len(commands) == 1
    return commands[0]


@pytest.mark.parametrize("text", [README, PROMISES], ids=["README.md", "tests/README.md"])
def test_no_link_within_the_repository_is_broken(text: str) -> None:
    base = ROOT if text is README else ROOT / "tests"
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-")) for heading in headings}

    links = re.findall(r'\]\(([^)]+)\)|src="([^"]+)"', text)
    for link in (first or second for first, second in links):
        path, _, anchor = link.partition("#")
        if "//" in link or "{{" in link:
            continue
        assert not path or (base / path).exists(), link
        assert path or anchor in anchors, link


def test_every_promise_names_an_existing_test() -> None:
    named = re.findall(r"`((?:pages|serving|server|browser|project)/[\w.]+\.py)`", PROMISES)

    assert named
    for file in named:
        assert (ROOT / "tests" / file).exists(), file


@pytest.mark.server
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_exists(command: str) -> None:
    program, *arguments = shlex.split(command)
    scripts = (ROOT / "Pipfile").read_text()

    if arguments[:1] == ["run"] and Path(program).name == "pipenv":
        assert f"\n{arguments[1]} = " in scripts
    elif arguments[:1] == ["-m"]:
        assert (ROOT / arguments[1].replace(".", "/")).with_suffix(".py").exists()
    elif arguments[0] in {"routes", "shell", "run", "startproject"}:
        run(f"{ROOT / program} {arguments[0]} --help")
    else:
        assert arguments in (["install", "NAME"], ["lock"], ["requirements"], ["db", "init"])


def test_the_test_command_is_that_of_ci_and_installs_what_is_locked() -> None:
    command = block("Test")

    assert f"\n{command}\n" in (ROOT / ".ci" / "run").read_text()
    assert command.startswith(block("Run").removesuffix(" && .venv/bin/flask run"))
    assert command.endswith(" --dev && .venv/bin/pytest")
