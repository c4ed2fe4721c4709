"""Deployments behind nginx, in the role of Heroku's router."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep

import pytest

from tests.conftest import require_program
from tests.processes import HEROKU, Server, free_port, procfile, until
from tests.server.test_survival import visits

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
        listen {listen};
        location / {{
            proxy_pass http://site; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_next_upstream off; proxy_set_header X-Forwarded-Proto https;
            proxy_set_header Host $http_host;
        }}
    }}
}}
"""


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Callable[[Server], Server]]:
    """Return nginx as Heroku's router; it sends requests to the server it is called with."""
    nginx, port = require_program("nginx", "nginx-light"), free_port()
    (tmp_path / "nginx.conf").write_text(NGINX.format(listen=f"127.0.0.1:{port}"))
    started: list[Server] = []

    def route(upstream: Server) -> Server:
        keepalive = "keepalive 32; keepalive_timeout 90s;"
        servers = f"upstream site {{ server 127.0.0.1:{upstream.port} max_fails=0; {keepalive} }}"
        (tmp_path / "upstream.conf").write_text(servers)
        if not started:
            command = f"{nginx} -p {tmp_path} -c nginx.conf -e stderr"
            started.append(Server(command, port).__enter__())
        else:
            exited = started[0].output.count("exited with code")
            started[0].popen.send_signal(signal.SIGHUP)
            until(lambda: started[0].output.count("exited with code") > exited, 10)
        return started[0]

    yield route
    for server in started:
        server.stop()


def test_a_deployment_behind_the_router_loses_no_request(
    dyno: Server, router: Callable[[Server], Server]
) -> None:
    nginx = router(dyno)
    with visits(nginx.port) as results:
        for _ in range(2):
            with procfile(app="tests.serving.conftest:make_app()", **HEROKU) as release:
                router(release)
                sleep(0.5)
                router(dyno)  # before the release is stopped

    assert set(results) == {200}
    assert len(results) > 20
