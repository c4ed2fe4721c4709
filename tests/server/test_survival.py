"""Slow clients, restarts and deployments delay and lose no other visitor's request."""

import os
import re
import select
import shlex
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from threading import Event
from time import sleep

import pytest

from tests.processes import PROCFILE_COMMAND, SPECIMEN, Server, procfile, read_all, until

pytestmark = pytest.mark.server

HTTPS = {"X-Forwarded-Proto": "https"}
GET = "GET {} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\n"
POST = GET.replace("GET", "POST")
INDEX = GET.format("/")
SLEEP = GET.format("/sleep?seconds=2") + "Connection: close\r\n\r\n"
READ = POST.format("/read")
UPLOAD = POST.format("/") + "Content-Length: 1000000\r\n\r\n"


@contextmanager
def visits(server: Server) -> Iterator[list[object]]:
    """Request pages from four threads, each on new connections; list what they get."""
    results: list[object] = []
    done = Event()

    def visit() -> None:
        while not done.wait(0.05):
            try:
                results.append(server.get().status)
            except (OSError, HTTPException) as error:
                results.append(error)

    with ThreadPoolExecutor() as pool:
        for _ in range(4):
            pool.submit(visit)
        try:
            yield results
        finally:
            done.set()


def in_shell(script: str) -> Server:
    """Start one worker for the specimen application by a script with a place for its command."""
    command = PROCFILE_COMMAND.replace("blasto:APP", shlex.quote(SPECIMEN))
    line = f"bash -c {shlex.quote(script.format(f'exec {command}'))}"
    return Server(line, WEB_CONCURRENCY="1")


def one_worker(options: str) -> Server:
    return procfile(app=SPECIMEN, WEB_CONCURRENCY="1", GUNICORN_CMD_ARGS=options)


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """Let the one worker of a server do nothing for a while."""
    (worker,) = server.processes() - {server.popen.pid}
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


@pytest.fixture(scope="module")
def worker() -> Iterator[Server]:
    """A worker with at most 500 descriptors, whose standard error is discarded."""
    with in_shell("ulimit -Sn 64; ulimit -Hn 500; {} 2>/dev/null") as server:
        yield server


def test_gunicorn_writes_its_events_as_lines_of_the_log(worker: Server) -> None:
    assert re.search('(?m)^time=[^ ]+ level=info message="Booting worker', worker.output)


OPENINGS = {
    "dripping": f"{INDEX}X: x",  # headers that do not end
    "uploading": f"{UPLOAD}x",  # uploads that stop midway, to a page that reads none
    "idle": f"{INDEX}\r\n",
    "unclosed": f"{INDEX}Connection: close\r\n\r\n",  # which the client never closes
    "unread": GET.format("/large") + "\r\n",  # downloads that nobody reads
    "streaming": GET.format("/stream") + "\r\n",
}


@pytest.mark.parametrize("opening", OPENINGS.values(), ids=OPENINGS)
def test_a_hundred_endless_clients_do_not_delay_others(dyno: Server, opening: str) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(dyno.connect(opening))

        assert [dyno.get(headers=HTTPS).status for _ in range(20)] == [200] * 20


def test_with_threads_idle_clients_do_not_delay_others(threads: Server) -> None:
    with ExitStack() as stack:
        for kind in ("streaming", *["idle", "unclosed"] * 100):
            stack.enter_context(threads.connect(OPENINGS[kind]))

        assert [threads.get(headers=HTTPS).status for _ in range(20)] == [200] * 20
    assert "Using worker: gthread" in threads.output


CROWDS = {
    "descriptors": (OPENINGS["idle"], 500, b"public "),
    "memory": (INDEX + f"X: {'x' * 8000}\r\n" * 7, 300, b""),  # 17 MB of headers that do not end
    "body": (f"{READ}Content-Length: 9\r\n\r\nx", 500, b""),
    "unread": (OPENINGS["unread"], 300, b""),
    "file": (GET.format("/file") + "\r\n", 300, b""),  # each with another descriptor
}


@pytest.mark.parametrize(("opening", "count", "received"), CROWDS.values(), ids=CROWDS)
def test_the_longest_waiting_connections_are_closed_if_room_runs_out(
    worker: Server, opening: str, count: int, received: bytes
) -> None:
    with ExitStack() as stack:
        for _ in range(200):  # these do not count
            worker.connect(opening).close()
        busy = stack.enter_context(worker.connect(SLEEP))
        assert worker.get().status == 200
        waiting = [stack.enter_context(worker.connect(opening)) for _ in range(count)]

        assert worker.get().status == 200
        assert read_all(waiting[0]).endswith(received)  # and then the connection's end
        assert read_all(busy).endswith(b"slept well")
    assert "Traceback" not in worker.output


FLOOD = GET.format("/flood") + "\r\n"
STUBBORN = f"{POST.format('/stubborn')}Content-Length: 9\r\n\r\n"  # goes on when it is closed


@pytest.mark.parametrize("openings", [[FLOOD] * 25, [STUBBORN] * 3 + [OPENINGS["idle"]] * 25])
def test_a_worker_full_of_endless_connections_serves_others(openings: list[str]) -> None:
    options = "--worker-class gevent --worker-connections 20 --graceful-timeout 1"
    with one_worker(options) as server, ExitStack() as stack:
        for opening in openings:
            stack.enter_context(server.connect(opening))

        assert server.get().status == 200


def test_a_crowd_that_comes_at_once_closes_no_more_connections_than_it_needs() -> None:
    with one_worker("--worker-connections 100") as server, ExitStack() as stack:
        silent = [stack.enter_context(server.connect()) for _ in range(85)]
        assert server.get().status == 200  # so these have been accepted
        with stopped(server):
            for _ in range(10):
                stack.enter_context(server.connect())

        assert server.get().status == 200
        closed, _, _ = select.select(silent, [], [], 0)
        assert len(closed) == 6  # a tenth of the room is kept free


def test_a_client_that_sends_many_requests_at_once_lets_others_in(worker: Server) -> None:
    requests = f"{GET.format('/?greedy')}\r\n" * 20_000

    def served() -> int:
        return worker.output.count("/?greedy")

    with ThreadPoolExecutor() as pool, worker.connect() as greedy, worker.connect() as visitor:
        pool.submit(greedy.sendall, requests.encode())
        pool.submit(read_all, greedy)
        until(lambda: served() > 10, 10)

        with stopped(worker):
            sleep(0.2)  # until all that it has logged has been read
            before = served()
            visitor.sendall(f"{GET.format('/?visitor')}Connection: close\r\n\r\n".encode())

        assert read_all(visitor).endswith(b"public ")
        greedy.shutdown(socket.SHUT_RDWR)
    until(lambda: "/?visitor" in worker.output, 5)
    assert worker.output.partition("/?visitor")[0].count("/?greedy") < before + 10


def test_a_body_in_tiny_pieces_lets_others_in(worker: Server) -> None:
    pieces = "1\r\nx\r\n" * 300_000 + "0\r\n\r\n"
    chunked = f"{READ}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"

    with ThreadPoolExecutor() as pool, worker.connect(chunked) as greedy:
        pool.submit(greedy.sendall, pieces.encode())
        sleep(0.2)

        assert worker.get().status == 200
        assert 'path="/read" status=200' not in worker.output
        assert read_all(greedy).endswith(b"300000")


def test_downloads_let_others_in_between_their_pieces(worker: Server) -> None:
    download = GET.format("/file?part") + "Range: bytes=0-2000000\r\n\r\n"  # fits into buffers

    with ExitStack() as stack:
        with stopped(worker):
            for _ in range(20):
                stack.enter_context(worker.connect(download))
            last = worker.connect(f"{GET.format('/?last')}Connection: close\r\n\r\n")
            stack.enter_context(last)

        assert read_all(last).endswith(b"public ")
        until(lambda: "/?last" in worker.output, 5)
    assert worker.output.partition("/?last")[0].count("/file?part") < 20


def test_a_request_that_blocks_its_worker_is_named() -> None:
    request = GET.format("/spin") + "X-Request-Id: its-own\r\n\r\n"
    with one_worker("--timeout 2 --graceful-timeout 1") as server, server.connect(request):
        line = 'level=critical .* method=GET path="/spin" request_id="its-own"\n'
        until(lambda: re.search(line, server.output), 60)
        until(lambda: server.get().status == 200, 30)  # by another worker


@pytest.mark.parametrize("log", ["/dev/full", ">(true)"], ids=["full", "closed at once"])
def test_a_log_that_cannot_be_written_loses_no_request(tmp_path: Path, log: str) -> None:
    errors = tmp_path / "errors"

    with in_shell(f"{{}} > {log} 2>{errors}") as server:
        for _ in range(3):
            assert [server.get(url).status for url in ("/", "/fail?text=a")] == [200, 500]
        assert errors.read_text().count("The log cannot be written") == 1


def test_a_reload_loses_no_request() -> None:
    with (
        procfile(app=SPECIMEN, GUNICORN_CMD_ARGS="--graceful-timeout 60") as server,
        server.connect(f"{INDEX}\r\n") as idle,
        visits(server) as results,
    ):
        server.popen.send_signal(signal.SIGHUP)
        assert read_all(idle).endswith(b"public ")  # and then the end of what is idle
        until(lambda: server.output.count("Worker exiting") == 2, 20)
        before = len(results)
        until(lambda: len(results) > before + 20, 20)
        upload = f"{READ}Connection: close\r\nContent-Length: 300000\r\n\r\n{'x' * 300_000}"
        with server.connect(upload) as connection:  # read by its successor
            assert read_all(connection).endswith(b"300000")

    assert {*results} == {200}


def test_a_worker_that_is_replaced_closes_silent_connections_without_a_response() -> None:
    options = "--max-requests 2 --graceful-timeout 1"
    with one_worker(options) as server, server.connect() as silent:
        assert server.get().status == 200

        assert read_all(silent) == b""
    assert "Traceback" not in server.output


@pytest.mark.parametrize("threads", ["0", "4"])
def test_sigterm_finishes_requests_but_waits_for_none_that_is_stuck(threads: str) -> None:
    options = {"WEB_THREADS": threads, "GUNICORN_CMD_ARGS": "--graceful-timeout 3"}
    with (
        procfile(app=SPECIMEN, **options) as server,
        server.connect(SLEEP) as busy,
        server.connect(GET.format("/sleep?seconds=60") + "\r\n") as stuck,
    ):
        until(lambda: server.lines.count("begun") == 2, 5)
        os.killpg(server.popen.pid, signal.SIGTERM)

        with suppress(ConnectionRefusedError):  # so that a proxy asks another server
            while True:
                with suppress(ConnectionResetError):  # it was in the queue at that moment
                    server.connect().close()
                sleep(0.02)
        assert select.select([busy], [], [], 0)[0] == [], "refused only after its last response"
        until(lambda: not server.processes(), 15)  # SIGKILL would come after 30 s
        assert read_all(busy).endswith(b"slept well")
        assert read_all(stuck) == b""
    assert re.search(r'path="/sleep\?seconds=2" .* duration=\d{4,}\.\dms', server.output)
