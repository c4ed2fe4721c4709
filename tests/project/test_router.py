"""Deployments behind nginx, in the role of Heroku's router."""

import signal
from pathlib import Path
from time import sleep

import pytest

from tests.conftest import require_program
from tests.processes import HEROKU, Server, free_port, procfile, until
from tests.server.test_survival import SPECIMEN, visits

pytestmark = pytest.mark.server

NGINX = """
daemon off; pid nginx.pid; error_log stderr notice;
user root;  # whose folder it is, if root runs the tests
events {{}}
http {{
    access_log off; client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include upstream.conf;
    server {{
        listen 127.0.0.1:{listen};
        location / {{
            proxy_pass http://site; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_next_upstream off; proxy_set_header X-Forwarded-Proto https;
            proxy_set_header Host $http_host;
        }}
    }}
}}
"""


def route(folder: Path, upstream: Server) -> None:
    servers = f"server 127.0.0.1:{upstream.port} max_fails=0; keepalive 32; keepalive_timeout 90s;"
    (folder / "upstream.conf").write_text(f"upstream site {{ {servers} }}")


def router(folder: Path, listen: object, port: int) -> Server:
    """Return nginx as Heroku's router, for the server that `route()` was called with."""
    nginx = require_program("nginx", "nginx-light")
    (folder / "nginx.conf").write_text(NGINX.format(listen=listen))
    return Server(f"{nginx} -p {folder} -c nginx.conf -e stderr", port)


def reroute(nginx: Server, folder: Path, upstream: Server) -> None:
    """Have nginx send requests to another server, and wait for those at the last one."""
    exited = nginx.output.count("exited with code")
    route(folder, upstream)
    nginx.popen.send_signal(signal.SIGHUP)
    until(lambda: nginx.output.count("exited with code") > exited, 10)


def test_a_deployment_behind_the_router_loses_no_request(dyno: Server, tmp_path: Path) -> None:
    port = free_port()
    route(tmp_path, dyno)
    with router(tmp_path, port, port) as nginx, visits(port) as results:
        for _ in range(2):
            with procfile(app=SPECIMEN, **HEROKU) as release:
                reroute(nginx, tmp_path, release)
                sleep(0.5)
                reroute(nginx, tmp_path, dyno)  # before the release is stopped

    assert set(results) == {200}
    assert len(results) > 20
