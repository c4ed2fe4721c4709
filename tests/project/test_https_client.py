"""A page may call HTTPS URLs, in production as under `flask run` (gunicorn #2796, gevent #1016)."""

import shutil
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
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


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The URL of a server on loopback, and the file with its certificate."""
    openssl = require_program("openssl", "openssl")
    certificate = tmp_path / "certificate.pem"
    run(
        f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
        f" -addext subjectAltName=DNS:localhost -keyout key.pem -out {certificate}",
        tmp_path,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, tmp_path / "key.pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://localhost:{server.server_port}/", str(certificate)
        server.shutdown()


@pytest.mark.parametrize(
    "command",
    ["gunicorn", "gunicorn --preload", "gunicorn --worker-class gthread", "flask run"],
)
def test_a_page_calls_an_https_url(
    tmp_path: Path, tls_server: tuple[str, str], command: str
) -> None:
    url, certificate = tls_server
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name)
    with (tmp_path / PACKAGE.name / "__init__.py").open("a") as file:
        file.write(PAGE)
    env = {"REQUESTS_CA_BUNDLE": certificate, "SSL_CERT_FILE": certificate}
    port = free_port()
    server = (
        procfile(tmp_path, GUNICORN_CMD_ARGS=command.removeprefix("gunicorn"), **env)
        if command.startswith("gunicorn")
        else Server(f"python -m blasto --port {port}", port, tmp_path, **env)
    )

    with server:
        assert server.get(f"/specimen?url={url}").text == "hellohello"
    assert "MonkeyPatchWarning" not in server.output


def test_gunicorn_itself_may_terminate_tls(tmp_path: Path, tls_server: tuple[str, str]) -> None:
    _, certificate = tls_server
    options = f"--certfile {certificate} --keyfile {tmp_path}/key.pem"
    server = procfile(GUNICORN_CMD_ARGS=options)
    context = ssl.create_default_context(cafile=certificate)

    try:
        until(lambda: "Booting worker" in server.output, 10)
        with urlopen(f"https://localhost:{server.port}/up", timeout=5, context=context) as response:
            assert response.headers["Strict-Transport-Security"]
    finally:
        server.stop()
