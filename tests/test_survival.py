"""Survival: whatever clients, signals and releases do, every other visitor is answered."""

import os
import resource
import signal
import socket
import ssl
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import count, cycle
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import NamedTuple

import pytest

from blasto.server import IDLE_SECONDS

from tests.processes import PLATFORM, ROOT, Process, copy_site, free_port, procfile
from tests.router import Router

pytestmark = pytest.mark.server

Visits = Generator[int | str, None, None]

NAMES = count()  # a page each, so that none is in the site's cache
GET = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\n"
POST = GET.replace("GET", "POST") + "Content-Length: 1000000\r\n\r\n"
SLOW_PAGES = """
import time
from flask import request

def sleep():
    print("under way", flush=True)
    time.sleep(float(request.args["seconds"]))
    return "slept well"

APP.add_url_rule("/sleep", view_func=sleep)
APP.add_url_rule("/huge", "huge", lambda: bytes(50_000_000))
"""
# States that tcp(7) reports first in its TCP_INFO: open at both ends, and closed by the server.
ESTABLISHED = 1
CLOSE_WAIT = 8
JUNK = [
    "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    "\0" * 10_000,
    "\r\n" * 1_000,
    "GET / HTTP/9.9\r\n\r\n",
    GET + "Content-Length: x\r\n\r\n",
    GET + "A" * 100_000,
    "G",
    GET,
    POST + "x",
    GET + "Transfer-Encoding: chunked\r\n\r\nx",
]


@pytest.fixture(autouse=True, scope="module")
def _many_files() -> None:
    """A connection is a file, and by default there may be 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))


def release(folder: Path = ROOT) -> Process:
    """The site as the platform runs it."""
    return procfile(free_port(), folder, **PLATFORM)


@pytest.fixture
def dyno() -> Iterator[Process]:
    with release() as process:
        yield process
    assert "Traceback" not in process.output


@pytest.fixture
def slow_dyno(tmp_path: Path) -> Iterator[Process]:
    """A site with pages that take their time."""
    copy = copy_site(tmp_path)
    with (copy / "blasto" / "__init__.py").open("a") as file:
        file.write(SLOW_PAGES)
    with release(copy) as process:
        yield process
    assert "Traceback" not in process.output


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for it, so long and no longer."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"not within {seconds} s"
        sleep(0.02)


def members(process: Process) -> set[int]:
    """The processes of its group that have not ended."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, _parent, group, *_ = stat.read_text().rpartition(")")[2].split()
            if int(group) == process.popen.pid and state != "Z":
                found.add(int(stat.parent.name))
    return found


def workers(process: Process) -> set[int]:
    return members(process) - {process.popen.pid}


def descriptors(process: Process) -> int:
    return sum(1 for pid in members(process) for _ in Path(f"/proc/{pid}/fd").iterdir())


def memory(process: Process) -> float:
    """The MiB that all its processes take, shared ones counted once."""
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in members(process)]
    return sum(int(rollup.partition("\nPss:")[2].split()[0]) for rollup in rollups) / 1024


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def reload(process: Process) -> None:
    """Have all workers replaced."""
    old = workers(process)
    process.popen.send_signal(signal.SIGHUP)
    until(lambda: len(workers(process)) == 2 and not old & workers(process), 10)


def visitor(connection: HTTPConnection, *, stays: bool = False, hesitates: float = 0) -> Visits:
    """Ask for one page after the other, on a new connection each time or always on one."""
    with closing(connection):
        while True:
            try:
                if connection.sock is None:
                    connection.connect()
                    sleep(hesitates)
                connection.request(
                    "GET", f"/user/{next(NAMES)}", headers={"X-Forwarded-Proto": "https"}
                )
                response = connection.getresponse()
                response.read()
            except (OSError, HTTPException) as error:
                connection.close()
                yield repr(error)
            else:
                if not stays:
                    connection.close()
                yield response.status


def visitors(
    number: int, port: int, *, timeout: float = 10, stay: bool = False, hesitate: float = 0
) -> list[Visits]:
    return [
        visitor(HTTPConnection("127.0.0.1", port, timeout=timeout), stays=stay, hesitates=hesitate)
        for _ in range(number)
    ]


@contextmanager
def under_way(many: list[Visits], pause: float) -> Iterator[list[int | str]]:
    """Let all of them visit at the same time, and list what the visits end in."""
    answers: list[int | str] = []
    leave = Event()

    def repeat(number: int) -> None:
        leave.wait(pause * number / len(many))
        with closing(many[number]) as visits:
            while not leave.wait(pause):
                answers.append(next(visits))

    threads = [Thread(target=repeat, args=[number]) for number in range(len(many))]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        leave.set()
        for thread in threads:
            thread.join()


def vandal(process: Process) -> Visits:
    """Send what is no request, or half of one."""
    for junk in cycle(JUNK):
        with connect(process) as line, suppress(ConnectionError):  # it may not read it all
            line.sendall(junk.encode())
            line.shutdown(socket.SHUT_WR)
            read_all(line)
        yield 0


def connect(process: Process, text: str = "") -> socket.socket:
    line = socket.create_connection(("127.0.0.1", process.port), timeout=30)
    line.sendall(text.encode())
    return line


def read_all(line: socket.socket) -> bytes:
    """Read until the other end closes."""
    received = b""
    while data := line.recv(65_536):
        received += data
    return received


def state(line: socket.socket) -> int:
    return line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


class Abuse(NamedTuple):
    """Connections that begin with `opening`, and what comes on each of them every second."""

    opening: str
    at_once: int = 0
    a_second: int = 0
    drip: str = ""


LASTING = {
    "500 that send their headers a byte a second": Abuse(GET + "X: ", at_once=500, drip="x"),
    "1,000 idle ones": Abuse(GET + "\r\n", at_once=1000),
}
NEVER_CLOSED = {
    "100 uploads that stop midway": Abuse(POST + 1000 * "x", at_once=100),
    "10 a second that promise a body and send none": Abuse(POST, a_second=10),
    "10 a second that asked for the end": Abuse(GET + "Connection: close\r\n\r\n", a_second=10),
}


@contextmanager
def abused(process: Process, abuse: Abuse) -> Iterator[list[socket.socket]]:
    """Hold these connections, of which no answer is ever read to its end."""
    leave = Event()
    lines = [connect(process, abuse.opening) for _ in range(abuse.at_once)]

    def go_on() -> None:
        while not leave.wait(1):
            lines.extend([connect(process, abuse.opening) for _ in range(abuse.a_second)])
            for line in lines:
                line.send(abuse.drip.encode())

    thread = Thread(target=go_on)
    thread.start()
    try:
        if not abuse.drip:
            for line in lines:
                line.recv(1)
        yield lines
    finally:
        leave.set()
        thread.join()
        for line in lines:
            line.close()


@pytest.mark.parametrize("abuse", LASTING.values(), ids=LASTING)
def test_beside_connections_that_last_everyone_is_answered_within_a_second(
    dyno: Process, abuse: Abuse
) -> None:
    with abused(dyno, abuse) as lines:
        answers = answers_within_a_second(dyno)
        assert set(answers) == {200}
        assert len(answers) > 50
        assert descriptors(dyno) > abuse.at_once
        assert {state(line) for line in lines} == {ESTABLISHED}


@pytest.mark.parametrize("abuse", NEVER_CLOSED.values(), ids=NEVER_CLOSED)
def test_beside_connections_that_clients_never_close_everyone_is_answered_within_a_second(
    dyno: Process, abuse: Abuse
) -> None:
    with abused(dyno, abuse) as lines:
        answers = answers_within_a_second(dyno)
        assert set(answers) == {200}
        assert len(answers) > 50
        assert len(lines) >= 20
        until(lambda: {state(line) for line in lines} == {CLOSE_WAIT}, 5)


def answers_within_a_second(process: Process) -> list[int | str]:
    with under_way(visitors(4, process.port, timeout=1), pause=0.1) as answers:
        sleep(3)
    return answers


def test_with_a_worker_killed_every_second_hardly_a_request_is_lost(dyno: Process) -> None:
    answers = []

    with closing(visitor(HTTPConnection("127.0.0.1", dyno.port, timeout=10))) as visits:
        for _ in range(8):
            kill(min(workers(dyno)))  # between two visits: what a killed worker is at, is lost
            for _ in range(50):
                answers.append(next(visits))
                sleep(0.017)

    assert answers.count(200) >= 0.995 * len(answers)


def test_with_all_workers_killed_it_answers_again_within_a_second(dyno: Process) -> None:
    with closing(visitor(HTTPConnection("127.0.0.1", dyno.port, timeout=1))) as visits:
        for pid in workers(dyno):
            kill(pid)

        until(lambda: next(visits) == 200, 1)


def test_with_the_master_killed_nothing_is_left_after_three_seconds(dyno: Process) -> None:
    with connect(dyno, GET + "\r\n") as line:
        line.recv(1)

        kill(dyno.popen.pid)

        until(lambda: not members(dyno), 3)


def test_five_reloads_under_load_lose_no_request(dyno: Process) -> None:
    everyone = [
        *visitors(4, dyno.port),
        *visitors(4, dyno.port, stay=True),
        *visitors(4, dyno.port, hesitate=0.2),
    ]

    with under_way(everyone, pause=0.1) as answers:
        for number in range(5):
            sleep(number / 5)  # workers look up once a second: reach them at different moments
            reload(dyno)

    assert len(answers) > 200
    assert set(answers) == {200}


def test_on_sigterm_it_answers_what_is_under_way_and_ends_idle_connections(
    slow_dyno: Process,
) -> None:
    slow = GET.replace("/", "/sleep?seconds=1.5", 1) + "\r\n"
    with (
        connect(slow_dyno) as silent,
        connect(slow_dyno, GET + "\r\n") as idle,
        connect(slow_dyno, slow) as busy,
    ):
        until(lambda: "under way" in slow_dyno.lines, 5)

        slow_dyno.send(signal.SIGTERM)

        until(lambda: not members(slow_dyno), 5)
        assert silent.recv(1) == b""
        assert read_all(idle).endswith(b"</html>")
        assert read_all(busy).endswith(b"slept well")


def test_on_sigterm_a_request_that_comes_as_idle_connections_end_is_answered_or_not_begun(
    slow_dyno: Process,
) -> None:
    slow = GET.replace("/", "/sleep?seconds=0.3", 1) + "\r\n"
    answers: list[bytes] = []
    with ExitStack() as stack:
        idle = [stack.enter_context(connect(slow_dyno)) for _ in range(300)]

        slow_dyno.send(signal.SIGTERM)
        sleep(IDLE_SECONDS - 0.1)
        for line in idle:
            with suppress(OSError):
                line.sendall(slow.encode())
            sleep(0.2 / len(idle))
        for line in idle:
            with suppress(OSError):
                answers.append(read_all(line))
        until(lambda: not members(slow_dyno), 5)

    slow_dyno.wait()
    begun = slow_dyno.output.count("under way")  # two workers write at once
    assert begun > 0
    assert sum(answer.endswith(b"slept well") for answer in answers) == begun


def test_on_sigterm_a_stuck_client_is_given_up_within_25_seconds(slow_dyno: Process) -> None:
    slow = GET.replace("/", "/sleep?seconds=60", 1) + "\r\n"
    huge = GET.replace("/", "/huge", 1) + "\r\n"
    with connect(slow_dyno, slow), connect(slow_dyno, huge) as unread:
        until(lambda: "under way" in slow_dyno.lines, 5)
        unread.recv(1)

        slow_dyno.send(signal.SIGTERM)

        until(lambda: not members(slow_dyno), 25)


def test_two_releases_behind_the_router_lose_no_request(dyno: Process, tmp_path: Path) -> None:
    with ExitStack() as releases, Router(tmp_path, dyno.port) as router:
        trust = ssl.create_default_context(cafile=router.certificate)
        visits = [
            visitor(HTTPSConnection("127.0.0.1", router.tls_port, timeout=10, context=trust))
            for _ in range(8)
        ]

        with under_way(visits, pause=0.1) as answers:
            old = dyno
            for _ in range(2):
                new = releases.enter_context(release())
                router.switch(new.port)
                old.stop()
                old = new
            asked = len(answers)
            until(lambda: len(answers) > asked + 50, 10)

    assert set(answers) == {200}


@pytest.mark.parametrize("seconds", [15, pytest.param(600, marks=pytest.mark.soak)])
def test_beside_junk_every_request_is_answered_and_memory_and_descriptors_stay_flat(
    dyno: Process, seconds: int
) -> None:
    serve_beside_junk(dyno, 8)  # until its cache is full
    sleep(1)  # it notices that the last of them left
    memory_before, descriptors_before = memory(dyno), descriptors(dyno)

    answers = serve_beside_junk(dyno, seconds)

    assert len(answers) > 100 * seconds
    assert set(answers) == {200}
    until(lambda: descriptors(dyno) <= descriptors_before, 5)
    assert memory(dyno) < memory_before + 6


def serve_beside_junk(process: Process, seconds: int) -> list[int | str]:
    """Answer nearly 200 visits a second while 20 connections a second bring junk."""
    everyone = [*visitors(5, process.port), *visitors(5, process.port, stay=True)]
    with under_way(everyone, pause=0.05) as answers, under_way([vandal(process)], pause=0.05):
        sleep(seconds)
    return answers
