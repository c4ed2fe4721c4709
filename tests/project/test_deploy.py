"""Deployments: as `git push` makes them, behind a router, and as a client of others."""

import json
import signal
import venv
from pathlib import Path
from time import sleep

import pytest
import requests

from tests.conftest import require_program
from tests.processes import HEROKU, ROOT, SPECIMEN, Server, free_port, procfile, until
from tests.project.shell import BIN, run
from tests.server.test_survival import visits

PIPENV = "pipenv==2026.7.1"  # which the buildpack v351 installs
# An empty environment, but for this machine's certificates, which the package index needs.
PLAIN = (
    "env --ignore-environment PATH=/usr/bin:/bin PIP_CONFIG_FILE=/dev/null"
    " $(env | grep -E '^(PIP_CERT|REQUESTS_CA_BUNDLE|SSL_CERT_FILE)=')"
)


@pytest.mark.server
def test_a_commit_installs_from_its_lock_and_serves(tmp_path: Path) -> None:
    app, python, tools = tmp_path / "app", tmp_path / "python", tmp_path / "tools"
    plain = f"{PLAIN} HOME={tmp_path}"
    app.mkdir()
    run(f"git archive HEAD | tar --extract --directory {app}")
    venv.create(python)
    venv.create(tools)
    run(f"{plain} {BIN}/pip --python {tools}/bin/python install --quiet --no-compile {PIPENV}", app)

    run(f"{plain} {tools}/bin/pipenv verify", app)
    run(f"{plain} VIRTUAL_ENV={python} {tools}/bin/pipenv install --deploy", app)

    with procfile(app, **HEROKU, PATH=f"{python}/bin:/usr/bin:/bin") as server:
        assert server.get(headers={"X-Forwarded-Proto": "https"}).status == 200
    assert not (python / "bin" / "pytest").exists()
    assert "Traceback" not in server.output


def test_every_locked_package_has_hashes_and_no_index_is_named() -> None:
    lock = json.loads((ROOT / "Pipfile.lock").read_text())

    packages = {**lock["default"], **lock["develop"]}
    assert [name for name, package in packages.items() if not package.get("hashes")] == []
    assert lock["_meta"]["sources"] == []


NGINX = """
daemon off; pid nginx.pid; error_log stderr notice;
user root;  # whose folder it is, if root runs the tests
events {{}}
http {{
    access_log off; client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include upstream.conf;
    server {{
        listen 127.0.0.1:{port} {tls};
        location / {{
            proxy_pass http://site; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_next_upstream off; proxy_set_header X-Forwarded-Proto https;
            proxy_set_header Host $http_host;
        }}
    }}
}}
"""


def route(folder: Path, upstream: Server) -> None:
    servers = f"upstream site {{ server 127.0.0.1:{upstream.port}; keepalive 32; }}"
    (folder / "upstream.conf").write_text(servers)


def router(folder: Path, tls: str = "") -> Server:
    """Return nginx as Heroku's router, for the server that `route()` was called with."""
    nginx = require_program("nginx", "nginx-light")
    port = str(free_port())
    (folder / "nginx.conf").write_text(NGINX.format(port=port, tls=tls))
    return Server(f"{nginx} -p {folder} -c nginx.conf -e stderr", PORT=port)


def reroute(nginx: Server, folder: Path, upstream: Server) -> None:
    """Have nginx send requests to another server, and wait for those at the last one."""
    exited = nginx.output.count("exited with code")
    route(folder, upstream)
    nginx.popen.send_signal(signal.SIGHUP)
    until(lambda: nginx.output.count("exited with code") > exited, 10)


@pytest.mark.server
def test_a_deployment_behind_the_router_loses_no_request(dyno: Server, tmp_path: Path) -> None:
    route(tmp_path, dyno)
    with router(tmp_path) as nginx, visits(nginx) as results:
        for _ in range(2):
            with procfile(app=SPECIMEN, **HEROKU) as release:
                reroute(nginx, tmp_path, release)
                sleep(0.5)
                reroute(nginx, tmp_path, dyno)  # before the release is stopped

    assert set(results) == {200}
    assert len(results) > 20


# gunicorn #2796, gevent #1016
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
def test_a_page_calls_an_https_url_whoever_terminates_tls(tmp_path: Path, options: str) -> None:
    openssl = require_program("openssl", "openssl")
    subject = "-subj /CN=localhost -addext subjectAltName=DNS:localhost"
    run(f"{openssl} req -x509 -newkey rsa:2048 -nodes {subject} -keyout key -out cert", tmp_path)
    (tmp_path / "calling.py").write_text(PAGE)
    certificate = f"{tmp_path}/cert"
    env = {
        "app": "calling:APP",
        "PYTHONPATH": str(tmp_path),
        "REQUESTS_CA_BUNDLE": certificate,
        "SSL_CERT_FILE": certificate,
    }
    tls = f"--certfile {certificate} --keyfile {tmp_path}/key {options}"
    server = procfile(GUNICORN_CMD_ARGS=tls, **env)
    target = f"/specimen?url=https://localhost:{server.port}/up"

    try:
        until(lambda: "Booting worker" in server.output, 10)
        with procfile(GUNICORN_CMD_ARGS=options, **env) as plain:
            assert plain.get(target).text == "up\nup\n"
        response = requests.get(
            f"https://localhost:{server.port}{target}",
            headers={"Connection": "close"},  # or stopping waits for the idle connection
            verify=certificate,
            timeout=10,
        )
    finally:
        server.stop()
    assert response.text == "up\nup\n"
    assert response.headers["Strict-Transport-Security"]
    assert "MonkeyPatchWarning" not in server.output + plain.output
