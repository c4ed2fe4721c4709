"""Slow clients, restarts and deployments delay and lose no other visitor's request."""

import os
import shlex
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread
from time import sleep
from urllib.request import urlopen

import pytest

from tests.processes import PROCFILE_COMMAND, Server, free_port, procfile, read_all, until

pytestmark = pytest.mark.server

SPECIMEN = "tests.serving.conftest:make_app()"
HTTPS = {"X-Forwarded-Proto": "https"}
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
                with urlopen(f"http://127.0.0.1:{port}/", timeout=30) as response:
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


def in_shell(script: str) -> Server:
    """Start one worker for the specimen application by a script with a place for its command."""
    command = PROCFILE_COMMAND.replace("blasto:APP", shlex.quote(SPECIMEN))
    port = free_port()
    line = f"bash -c {shlex.quote(script.format(f'exec {command}'))}"
    return Server(line, port, PORT=str(port), WEB_CONCURRENCY="1")


OPENINGS = {
    "dripping": f"{INDEX}X: x",  # headers that do not end
    "uploading": f"{UPLOAD}x",  # uploads that stop midway, to a page that reads none
    "idle": f"{INDEX}\r\n",
    "unclosed": f"{INDEX}Connection: close\r\n\r\n",  # which the client never closes
    "unread": GET.format("/large") + "\r\n",  # downloads that nobody reads
    "streaming": GET.format("/stream") + "\r\n",
}


@pytest.mark.parametrize("opening", OPENINGS.values(), ids=OPENINGS)
def test_a_hundred_clients_that_do_not_end_leave_others_their_pages(
    dyno: Server, opening: str
) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(dyno.connect(opening))

        assert [dyno.get(headers=HTTPS).status for _ in range(20)] == [200] * 20


def test_with_threads_idle_clients_and_a_stream_leave_others_their_pages() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(procfile(app=SPECIMEN, WEB_THREADS="20", WEB_CONCURRENCY="1"))
        stack.enter_context(server.connect(OPENINGS["streaming"]))
        for _ in range(100):
            stack.enter_context(server.connect(OPENINGS["idle"]))

        assert [server.get().status for _ in range(20)] == [200] * 20
        assert "Using worker: gthread" in server.output


@pytest.mark.parametrize(
    ("script", "opening", "received"),
    [
        ("ulimit -n 300; {}", f"{INDEX}\r\n", b"public "),
        ("{}", INDEX + f"X: {'x' * 8000}\r\n" * 7, b""),  # 17 MB of headers that do not end
    ],
    ids=["connections", "memory"],
)
def test_the_longest_waiting_connections_are_closed_if_room_runs_out(
    script: str, opening: str, received: bytes
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(in_shell(script))
        for _ in range(200):  # these do not count
            server.connect(opening).close()
        assert server.get().status == 200
        waiting = [stack.enter_context(server.connect(opening)) for _ in range(300)]

        assert server.get().status == 200
        assert read_all(waiting[0]).endswith(received)  # and then the connection's end


def test_a_soft_limit_of_descriptors_is_raised() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(in_shell("ulimit -Sn 64; {}"))
        for _ in range(100):
            stack.enter_context(server.connect(INDEX + "\r\n"))

        assert server.get().status == 200


def test_a_client_that_sends_many_requests_at_once_lets_others_in() -> None:
    requests = (f"{INDEX}\r\n" * 20_000).encode()
    with (
        procfile(app=SPECIMEN, WEB_CONCURRENCY="1") as server,
        server.connect() as greedy,
        server.connect() as visitor,
    ):

        def receive() -> None:
            with suppress(OSError):  # at the end, it is closed
                read_all(greedy)

        def send() -> None:
            with suppress(OSError):
                greedy.sendall(requests)

        for target in (send, receive):
            Thread(target=target, daemon=True).start()
        until(lambda: server.output.count("status=200") > 10, 10)

        visitor.sendall(f"{INDEX}Connection: close\r\n\r\n".replace("/ ", "/private ").encode())
        assert read_all(visitor).endswith(b"private ")
        before_the_visitor = server.output.partition('path="/private"')[0].count('path="/"')

    assert before_the_visitor < 10_000


def test_a_request_that_blocks_its_worker_is_named() -> None:
    env = {"WEB_CONCURRENCY": "1", "GUNICORN_CMD_ARGS": "--timeout 2 --graceful-timeout 1"}
    with procfile(app=SPECIMEN, **env) as server, server.connect(GET.format("/spin") + "\r\n"):
        until(lambda: "level=critical" in server.output, 60)

        (line,) = [line for line in server.lines if "level=critical" in line]
        assert 'method=GET path="/spin"' in line
        until(lambda: server.get().status == 200, 30)


@pytest.mark.parametrize("broken", ["full", "closed"])
def test_a_log_that_cannot_be_written_loses_no_request(tmp_path: Path, broken: str) -> None:
    output = ">/dev/full" if broken == "full" else "> >(true)"
    errors = tmp_path / "errors"
    with in_shell(f"{{}} {output} 2>{errors}") as server:
        for _ in range(3):
            assert [server.get(url).status for url in ("/", "/fail?text=a")] == [200, 500]

        def reports() -> int:
            return errors.read_text().count("The log cannot be written")

        until(lambda: reports() >= 2, 5)
        assert reports() == 2  # once by gunicorn and once by the site


def test_gunicorn_writes_its_events_to_standard_output_and_no_file(tmp_path: Path) -> None:
    home = f"export HOME={tmp_path} XDG_RUNTIME_DIR={tmp_path}"

    with in_shell(f"{home}; {{}} 2>/dev/null") as server:
        assert "Booting worker" in server.output
        assert list(tmp_path.iterdir()) == []


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
