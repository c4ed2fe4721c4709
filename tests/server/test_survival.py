"""Slow clients, restarts and deployments delay and lose no other visitor's request."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from threading import Event, Thread
from time import sleep
from urllib.request import urlopen

import pytest

from tests.processes import Server, read_all, until

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
                with urlopen(f"http://127.0.0.1:{port}/", timeout=5) as response:
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


@pytest.mark.parametrize(
    ("opening", "drip"),
    [
        (f"{INDEX}X: ", "x"),  # headers that come byte by byte
        (f"{UPLOAD}x", ""),  # uploads that stop midway, to a page that reads none
        (f"{INDEX}\r\n", ""),  # idle connections
        (f"{INDEX}Connection: close\r\n\r\n", ""),  # connections that the client never closes
        (GET.format("/large") + "\r\n", ""),  # downloads that nobody reads
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


def test_an_idle_connection_stays_open(dyno: Server) -> None:
    connection = HTTPConnection("127.0.0.1", dyno.port, timeout=5)
    for pause in (0, 3):  # by default, gunicorn closes it after 2 s
        sleep(pause)
        connection.request("GET", "/", headers={"X-Forwarded-Proto": "https"})
        assert connection.getresponse().read()
    connection.close()


def test_sigterm_finishes_requests_and_closes_idle_connections(new_dyno: Server) -> None:
    with (
        new_dyno.connect(f"{INDEX}\r\n") as idle,
        new_dyno.connect(GET.format("/sleep?seconds=2") + "\r\n") as busy,
        new_dyno.connect(GET.format("/sleep?seconds=60") + "\r\n") as stuck,
    ):
        until(lambda: new_dyno.lines.count("begun") == 2, 5)
        os.killpg(new_dyno.popen.pid, signal.SIGTERM)

        until(lambda: not new_dyno.processes(), 15)  # SIGKILL would come after 30 s
        assert read_all(idle).endswith(b"public ")
        assert read_all(busy).endswith(b"slept well")
        assert read_all(stuck) == b""
