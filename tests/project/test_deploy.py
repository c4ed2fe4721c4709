"""A deployment as `git push` makes it: what is committed, in an empty environment."""

import json
import os
import subprocess
import venv
from pathlib import Path

import pytest

from tests.processes import HEROKU, PROCFILE_COMMAND, ROOT, Server, free_port
from tests.project.shell import run

PIPENV = "pipenv==2026.7.1"  # which the buildpack v351 installs
# Where this machine's certificates are, to reach the package index.
CERTIFICATES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")

IN_A_CHECKOUT = pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="this is no git checkout: clone the repository"
)


def plain_run(command: str, cwd: Path, home: Path, **env: str) -> None:
    """Run a command without this machine's environment and configuration of pip."""
    plain = {name: os.environ[name] for name in CERTIFICATES if name in os.environ}
    plain |= {"PATH": "/usr/bin:/bin", "HOME": str(home), "PIP_CONFIG_FILE": os.devnull, **env}
    done = subprocess.run(
        ["bash", "-c", command], cwd=cwd, env=plain, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.server
@IN_A_CHECKOUT
def test_what_is_committed_installs_from_its_lock_and_serves(tmp_path: Path) -> None:
    app, python, tools = tmp_path / "app", tmp_path / "python", tmp_path / "tools"
    app.mkdir()
    run(f"git archive HEAD | tar --extract --directory {app}")
    venv.create(python)
    venv.create(tools, with_pip=True)
    plain_run(f"{tools}/bin/pip install --quiet {PIPENV}", app, tmp_path)

    plain_run(f"{tools}/bin/pipenv verify", app, tmp_path)
    plain_run(f"{tools}/bin/pipenv install --deploy", app, tmp_path, VIRTUAL_ENV=str(python))

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
