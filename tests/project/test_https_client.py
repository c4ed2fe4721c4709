"""A page may call HTTPS URLs, in production as under `flask run` (gunicorn #2796, gevent #1016)."""

import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.conftest import require_program
from tests.processes import PACKAGE, Server, free_port, procfile, until
from tests.project.shell import run

pytestmark = pytest.mark.server

PAGE = """
import ssl
from urllib.request import urlopen
import requests
from flask import request

CONTEXT = ssl.create_default_context()

@APP.get("/specimen")
def specimen():
    url = request.args["url"]
    return requests.get(url, timeout=5).text + urlopen(url, timeout=5).read().decode()
"""


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of a gunicorn that itself terminates TLS, and the file of its certificate."""
    openssl = require_program("openssl", "openssl")
    folder = tmp_path_factory.mktemp("tls")
    certificate = folder / "certificate.pem"
    run(
        f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
        f" -addext subjectAltName=DNS:localhost -keyout key.pem -out {certificate}",
        folder,
    )
    server = procfile(GUNICORN_CMD_ARGS=f"--certfile {certificate} --keyfile {folder}/key.pem")
    try:
        until(lambda: "Booting worker" in server.output, 10)
        yield server.port, certificate
    finally:
        server.stop()


def test_gunicorn_itself_may_terminate_tls(tls_server: tuple[int, Path]) -> None:
    tls_port, certificate = tls_server
    context = ssl.create_default_context(cafile=certificate)

    with urlopen(f"https://localhost:{tls_port}/up", timeout=5, context=context) as response:
        assert response.headers["Strict-Transport-Security"]


@pytest.mark.parametrize(
    "command",
    ["gunicorn", "gunicorn --preload", "gunicorn --worker-class gthread", "flask run"],
)
def test_a_page_calls_an_https_url(
    tmp_path: Path, tls_server: tuple[int, Path], command: str
) -> None:
    tls_port, certificate = tls_server
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name)
    with (tmp_path / PACKAGE.name / "__init__.py").open("a") as file:
        file.write(PAGE)
    env = dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(certificate))
    port = free_port()
    server = (
        procfile(tmp_path, GUNICORN_CMD_ARGS=command.removeprefix("gunicorn"), **env)
        if command.startswith("gunicorn")
        else Server(f"python -m blasto --port {port}", port, tmp_path, **env)
    )

    with server:
        assert server.get(f"/specimen?url=https://localhost:{tls_port}/up").text == "up\nup\n"
    assert "MonkeyPatchWarning" not in server.output
