"""The READMEs: what they link to and name exists."""

import re
from pathlib import Path

import pytest

from tests.processes import ROOT

README = (ROOT / "README.md").read_text()
PROMISES = (ROOT / "tests" / "README.md").read_text()


@pytest.mark.parametrize("file", ["blasto/README.md", "blasto/tests/README.md", "shop/README.md"])
def test_no_link_within_a_repository_is_broken(made: Path, file: str) -> None:
    text = (made / file).read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-")) for heading in headings}

    for link in re.findall(r'(?:\]\(|src=")([^)"]+)', text):
        path, _, anchor = link.partition("#")
        if "//" not in link:
            assert path or anchor in anchors, link
            assert (made / file).parent.joinpath(path).exists(), link


def test_every_test_script_and_module_that_they_name_exists() -> None:
    pipfile = (ROOT / "Pipfile").read_text()

    for file in re.findall(r"`(\w+/test_\w+\.py)`", PROMISES):
        assert (ROOT / "tests" / file).exists(), file
    for script in re.findall(r"pipenv run (\w+)", README + PROMISES):
        assert f"\n{script} = " in pipfile, script
    for module in re.findall(r"-m (tests[.\w]+)", README + PROMISES):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module


def test_the_test_command_is_that_of_ci_and_installs_what_is_locked() -> None:
    start, test = re.findall(r"^python3 -m venv .*", README, re.MULTILINE)

    assert f"\n{test}\n" in (ROOT / ".ci" / "run").read_text()
    assert test == start.replace(" && .venv/bin/flask run", " --dev && .venv/bin/pytest")
