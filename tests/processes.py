"""Real server processes, started as a person or Heroku starts them."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPMessage
from pathlib import Path
from typing import NamedTuple, Self

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "blasto"
PROCFILE_COMMAND = re.findall(r"^web:\s*(.*)", (ROOT / "Procfile").read_text(), re.MULTILINE)[0]
# An application of the tests' own, which `serving` has to serve as well.
SPECIMEN = "tests.serving.conftest:make_app()"
# What Heroku and its Python buildpack set, beside PORT and WEB_CONCURRENCY.
HEROKU = {"DYNO": "web.1", "FORWARDED_ALLOW_IPS": "*", "GUNICORN_CMD_ARGS": "--access-logfile -"}
# A shell that starts the tests in the background has them, and their children, ignore Ctrl+C.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Response(NamedTuple):
    """A response, read to its end."""

    status: int
    headers: HTTPMessage
    text: str


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    received = b""
    with suppress(ConnectionResetError):
        while data := connection.recv(65_536):
            received += data
    return received


def until(condition: Callable[[], object], seconds: float) -> None:
    """Wait for a condition; fail if it takes longer."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def processes_of(group: int) -> set[int]:
    """Return the processes of a group that have not ended."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, _parent, its_group, *_ = stat.read_text().rpartition(")")[2].split()
            if int(its_group) == group and state != "Z":
                found.add(int(stat.parent.name))
    return found


class Server:
    """A command in a process group of its own; its output is drained into `lines`.

    PORT is a free port, which replaces `$PORT` in the command too.
    """

    def __init__(self, command: str, cwd: Path = ROOT, /, **env: str) -> None:
        self.port = int(env.setdefault("PORT", str(free_port())))
        self.popen = subprocess.Popen(
            shlex.split(command.replace("$PORT", env["PORT"])),
            cwd=cwd,
            # This Python's programs come first, wherever its virtual environment is.
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"} | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            start_new_session=True,
        )
        self.lines: list[str] = []
        self.drain = threading.Thread(target=self._drain, daemon=True)
        self.drain.start()

    def _drain(self) -> None:
        assert self.popen.stdout
        with self.popen.stdout as output:
            for line in output:
                self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def get(
        self, target: str = "/", method: str = "GET", headers: dict[str, str] | None = None
    ) -> Response:
        """Request an exact target, on a connection of its own."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, target, headers=headers or {})
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read().decode())

    def connect(self, text: str = "") -> socket.socket:
        """Return a connection that has sent a text."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        with suppress(ConnectionError):  # the server may close it before it has read everything
            connection.sendall(text.encode("latin-1"))
        return connection

    def responds(self) -> bool:
        with suppress(OSError, HTTPException):
            self.get()
            return True
        assert self.popen.poll() is None, f"ended at once:\n{self.output}"
        return False

    def processes(self) -> set[int]:
        return processes_of(self.popen.pid)

    def wait(self, seconds: float = 10) -> int:
        """Return the exit status, once all output is in `lines`."""
        try:
            return self.popen.wait(seconds)
        finally:
            self.stop()

    def __enter__(self) -> Self:
        """Wait until it responds."""
        try:
            until(self.responds, 20)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the whole process group, whatever state it is in."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(15)
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        self.drain.join(5)


def procfile(cwd: Path = ROOT, /, app: str = "blasto:APP", **env: str) -> Server:
    """Start the Procfile's command, by default with two workers; `app` is another application."""
    command = PROCFILE_COMMAND.replace("blasto:APP", app)
    return Server(command, cwd, **{"WEB_CONCURRENCY": "2", **env})
