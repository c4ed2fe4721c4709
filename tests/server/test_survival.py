"""Slow clients, signals, crashes and deployments do not delay or lose other visitors' requests."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from time import sleep
from urllib.request import urlopen

import pytest

from tests.conftest import require_program
from tests.processes import HEROKU, Server, free_port, procfile, until

pytestmark = pytest.mark.server

GET = "GET {} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\n"
INDEX = GET.format("/")
UPLOAD = INDEX.replace("GET", "POST") + "Content-Length: 1000000\r\n\r\n"


@contextmanager
def visits(port: int) -> Iterator[list[object]]:
    """Request pages from four threads, each on new connections; list what they get."""
    results: list[object] = []
    done = Event()

    def visit() -> None:
        while not done.wait(0.05):
            try:
                with urlopen(f"http://127.0.0.1:{port}/", timeout=5) as response:  # noqa: S310
                    results.append(response.status)
            except OSError as error:
                results.append(error)

    threads = [Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield results
    finally:
        done.set()
        for thread in threads:
            thread.join()


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    received = b""
    while data := connection.recv(65_536):
        received += data
    return received


@pytest.mark.parametrize(
    ("opening", "drip"),
    [
        (f"{INDEX}X: ", "x"),  # headers that come byte by byte
        (f"{UPLOAD}x", ""),  # uploads that stop midway, to a page that reads none
        (f"{INDEX}\r\n", ""),  # idle connections
        (f"{INDEX}Connection: close\r\n\r\n", ""),  # connections that the client never closes
        (GET.format("/huge") + "\r\n", ""),  # downloads that nobody reads
    ],
    ids=["dripping", "uploading", "idle", "unclosed", "unread"],
)
def test_other_clients_do_not_delay_a_visitor(dyno: Server, opening: str, drip: str) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(dyno.connect(opening)) for _ in range(100)]
        with visits(dyno.port) as results:
            for _ in range(4):
                sleep(0.5)
                for connection in connections if drip else []:
                    connection.sendall(drip.encode())

    # Four threads that wait 0.05 s between requests make 160 in 2 s.
    assert set(results) == {200}
    assert len(results) > 60


def test_a_killed_worker_is_replaced(new_dyno: Server) -> None:
    workers = new_dyno.processes() - {new_dyno.popen.pid}
    for worker in workers:
        os.kill(worker, signal.SIGKILL)

    until(lambda: len(new_dyno.processes() - workers) == 3, 5)
    assert new_dyno.get(headers={"X-Forwarded-Proto": "https"}).status == 200


def test_a_killed_master_leaves_nothing_behind(new_dyno: Server) -> None:
    with new_dyno.connect(f"{INDEX}\r\n") as idle:
        idle.recv(1)
        os.kill(new_dyno.popen.pid, signal.SIGKILL)

        until(lambda: not new_dyno.processes(), 5)


def test_reloads_lose_no_request(new_dyno: Server) -> None:
    with visits(new_dyno.port) as results:
        for _ in range(2):
            old = new_dyno.processes()
            new_dyno.popen.send_signal(signal.SIGHUP)
            until(lambda old=old: len(new_dyno.processes() - old) == 2, 10)
            until(lambda old=old: len(new_dyno.processes() & old) == 1, 15)

    assert set(results) == {200}
    assert len(results) > 20


def test_sigterm_finishes_requests_and_closes_idle_connections(new_dyno: Server) -> None:
    with (
        new_dyno.connect(f"{INDEX}\r\n") as idle,
        new_dyno.connect(GET.format("/sleep?seconds=2") + "\r\n") as busy,
        new_dyno.connect(GET.format("/sleep?seconds=60") + "\r\n") as stuck,
    ):
        until(lambda: new_dyno.lines.count("begun") == 2, 5)
        os.killpg(new_dyno.popen.pid, signal.SIGTERM)

        until(lambda: not new_dyno.processes(), 15)  # SIGKILL would come after 30 s
        assert read_all(idle).endswith(b"index")
        assert read_all(busy).endswith(b"slept well")
        with suppress(ConnectionResetError):
            assert read_all(stuck) == b""


NGINX = """
daemon off; pid nginx.pid; error_log stderr notice; {user}
events {{}}
http {{
    access_log off; client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include upstream.conf;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://site; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_next_upstream off; proxy_set_header X-Forwarded-Proto https;
        }}
    }}
}}
"""


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Callable[[Server], Server]]:
    """nginx in the role of Heroku's router; called with a server, it sends requests there."""
    nginx, port = require_program("nginx", "nginx-light"), free_port()
    user = "user root;" if os.getuid() == 0 else ""  # whose folder this is
    (tmp_path / "nginx.conf").write_text(NGINX.format(user=user, port=port))
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
            with procfile(app="tests.server.specimen:APP", **HEROKU) as release:
                router(release)
                sleep(0.5)
                router(dyno)  # before the release is stopped

    assert set(results) == {200}
    assert len(results) > 20
