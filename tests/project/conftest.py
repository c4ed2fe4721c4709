"""A checkout of this project, and a new site; each test has copies of them."""

from pathlib import Path
from shutil import copytree

import pytest

from tests.project.shell import commit, run, startproject

FONT = b"\0blasto\r\n\xff"  # a file that is no text


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with all files of this one, as they are now, and a site that it made."""
    # `.venv/` in .gitignore matches no link.
    folder = tmp_path_factory.mktemp("made")
    files = "git ls-files -z --cached --others --exclude-standard --exclude .venv"
    run(f"git init -q {folder}/blasto && {files} | xargs -0 cp --parents -t {folder}/blasto")
    (folder / "blasto" / "blasto" / "static" / "font.woff2").write_bytes(FONT)
    commit(folder / "blasto", "Everything")
    startproject("shop", root=folder / "blasto")  # beside it
    run("git -C blasto gc --quiet && git -C shop gc --quiet", folder)  # copied faster
    return folder


@pytest.fixture
def checkout(made: Path, tmp_path: Path) -> Path:
    return copytree(made / "blasto", tmp_path / "blasto")


@pytest.fixture
def site(made: Path, tmp_path: Path) -> Path:
    return copytree(made / "shop", tmp_path / "shop")
