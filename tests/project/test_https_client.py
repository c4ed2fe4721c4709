"""A page may call HTTPS URLs in production (gunicorn #2796, gevent #1016)."""

from pathlib import Path

import pytest
import requests

from tests.conftest import require_program
from tests.processes import procfile, until
from tests.project.shell import run

PAGE = """
import ssl
from urllib.request import urlopen
import requests
from flask import request
from blasto import APP

CONTEXT = ssl.create_default_context()

@APP.get("/specimen")
def specimen():
    url = request.args["url"]
    return requests.get(url, timeout=5).text + urlopen(url, timeout=5).read().decode()
"""


@pytest.mark.server
@pytest.mark.parametrize("options", ["", "--preload", "--worker-class gthread --threads 4"])
def test_a_page_calls_an_https_url_of_a_gunicorn_that_itself_terminates_tls(
    tmp_path: Path, options: str
) -> None:
    openssl = require_program("openssl", "openssl")
    subject = "-subj /CN=localhost -addext subjectAltName=DNS:localhost"
    run(f"{openssl} req -x509 -newkey rsa:2048 -nodes {subject} -keyout key -out cert", tmp_path)
    (tmp_path / "calling.py").write_text(PAGE)
    certificate = f"{tmp_path}/cert"
    server = procfile(
        app="calling:APP",
        GUNICORN_CMD_ARGS=f"--certfile {certificate} --keyfile {tmp_path}/key {options}",
        PYTHONPATH=str(tmp_path),
        REQUESTS_CA_BUNDLE=certificate,
        SSL_CERT_FILE=certificate,
    )
    url = f"https://localhost:{server.port}"

    try:
        until(lambda: "Booting worker" in server.output, 10)
        response = requests.get(f"{url}/specimen?url={url}/up", verify=certificate, timeout=10)
    finally:
        server.stop()
    assert response.text == "up\nup\n"
    assert response.headers["Strict-Transport-Security"]
    assert "MonkeyPatchWarning" not in server.output
