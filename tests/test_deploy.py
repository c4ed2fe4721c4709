"""A deployment as `git push` does it: only what is committed, locked and needed to run."""

import json
import os
import shutil
import venv
from pathlib import Path

import pytest

from tests.conftest import IN_A_CHECKOUT
from tests.processes import PLATFORM, PROCFILE_COMMAND, ROOT, Process, free_port, run

PIPENV = "pipenv==2026.7.1"  # the buildpack's own, as of its release 351


@pytest.mark.server
@IN_A_CHECKOUT
def test_what_is_committed_installs_from_its_lock_and_serves(tmp_path: Path) -> None:
    app, python, tools = tmp_path / "app", tmp_path / "python", tmp_path / "tools"
    app.mkdir()
    run(f"git archive --output {tmp_path / 'app.tar'} HEAD")
    shutil.unpack_archive(tmp_path / "app.tar", app, filter="data")
    venv.create(python, with_pip=True)
    venv.create(tools, with_pip=True)
    run(f"{tools / 'bin' / 'pip'} install --quiet {PIPENV}")

    run(f"{tools / 'bin' / 'pipenv'} install --deploy", app, VIRTUAL_ENV=str(python))

    port = free_port()
    env = {**PLATFORM, "PORT": str(port), "PATH": f"{python / 'bin'}:{os.environ['PATH']}"}
    with Process(PROCFILE_COMMAND, port, cwd=app, env=env) as process:
        assert "Blasto" in process.get("/").text
        assert "Newcomer" in process.get("/user/Newcomer").text
    assert not (python / "bin" / "pytest").exists()
    assert "Traceback" not in process.output


def test_every_locked_package_has_hashes_and_no_index_is_named() -> None:
    lock = json.loads((ROOT / "Pipfile.lock").read_text())

    packages = {**lock["default"], **lock["develop"]}
    assert packages
    assert [name for name, package in packages.items() if not package.get("hashes")] == []
    assert lock["_meta"]["sources"] == []
