"""A deployment as `git push` makes it: what is committed, in an empty environment."""

import json
import venv
from pathlib import Path

import pytest

from tests.processes import HEROKU, PROCFILE_COMMAND, ROOT, Server, free_port
from tests.project.shell import run

PIPENV = "pipenv==2026.7.1"  # which the buildpack v351 installs
# Of this machine's environment, only where its certificates are, to reach the package index.
PLAIN = (
    "env --ignore-environment PATH=/usr/bin:/bin PIP_CONFIG_FILE=/dev/null"
    " $(env | grep -E '^(PIP_CERT|REQUESTS_CA_BUNDLE|SSL_CERT_FILE)=')"
)


@pytest.mark.server
def test_what_is_committed_installs_from_its_lock_and_serves(tmp_path: Path) -> None:
    app, python, tools = tmp_path / "app", tmp_path / "python", tmp_path / "tools"
    plain = f"{PLAIN} HOME={tmp_path}"
    app.mkdir()
    run(f"git archive HEAD | tar --extract --directory {app}")
    venv.create(python)
    venv.create(tools, with_pip=True)
    run(f"{plain} {tools}/bin/pip install --quiet {PIPENV}", app)

    run(f"{plain} {tools}/bin/pipenv verify", app)
    run(f"{plain} VIRTUAL_ENV={python} {tools}/bin/pipenv install --deploy", app)

    port = free_port()
    env = {**HEROKU, "PORT": str(port), "PATH": f"{python}/bin:/usr/bin:/bin"}
    with Server(PROCFILE_COMMAND, port, app, **env) as server:
        assert server.get(headers={"X-Forwarded-Proto": "https"}).status == 200
    assert not (python / "bin" / "pytest").exists()
    assert "Traceback" not in server.output


def test_every_locked_package_has_hashes_and_no_index_is_named() -> None:
    lock = json.loads((ROOT / "Pipfile.lock").read_text())

    packages = {**lock["default"], **lock["develop"]}
    assert [name for name, package in packages.items() if not package.get("hashes")] == []
    assert lock["_meta"]["sources"] == []
