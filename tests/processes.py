"""Real processes for the tests: started as a person or the platform starts them."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple, Self

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "blasto"
# What Heroku and its Python buildpack set, beside PORT and WEB_CONCURRENCY.
PLATFORM = {
    "DYNO": "web.1",
    "FORWARDED_ALLOW_IPS": "*",
    "GUNICORN_CMD_ARGS": "--access-logfile -",
}
# A shell that starts the tests in the background has them ignore Ctrl+C, and their children too.
signal.signal(signal.SIGINT, signal.default_int_handler)

PROCFILE_COMMAND = (ROOT / "Procfile").read_text().removeprefix("web: ").strip()


class Answer(NamedTuple):
    """A response, read to its end."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's one value."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} is sent {len(values)} times"
        return values[0] if values else None

    @property
    def text(self) -> str:
        return self.body.decode()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


class Process:
    """A command in a process group of its own, its output drained into `lines`."""

    def __init__(
        self, command: str, port: int, *, env: dict[str, str] | None = None, cwd: Path = ROOT
    ) -> None:
        self.port = port
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("FLASK_", "GUNICORN_", "WERKZEUG_"))
            and key not in {"PORT", "WEB_CONCURRENCY", "DYNO", "FORWARDED_ALLOW_IPS"}
        }
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.popen = subprocess.Popen(
            shlex.split(command),
            cwd=cwd,
            env={**inherited, "PATH": path, "PYTHONUNBUFFERED": "1", **(env or {})},
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
        self, target: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> Answer:
        """Ask for an exact request target, on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, target, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def wait_until_up(self, seconds: float = 20) -> Self:
        """Return once a page is answered."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.get("/")
            except (OSError, HTTPException):
                assert self.popen.poll() is None, f"ended at once:\n{self.output}"
                assert time.monotonic() < deadline, f"no answer:\n{self.output}"
                time.sleep(0.05)
            else:
                return self

    def send(self, number: signal.Signals) -> None:
        """Signal the whole process group, as a terminal and the platform do."""
        os.killpg(self.popen.pid, number)

    def wait(self, seconds: float = 10) -> int:
        """Return the exit status, once all output is in `lines`; stop what does not end."""
        try:
            status = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise
        self.drain.join(seconds)
        return status

    def __enter__(self) -> Self:
        """Wait until the site is up, stopping it where it does not come up."""
        try:
            return self.wait_until_up()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the whole process group, whatever state it is in."""
        try:
            self.send(signal.SIGTERM)
            self.popen.wait(30)
            self.send(signal.SIGKILL)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
        self.wait()


def procfile(port: int, cwd: Path = ROOT, /, **env: str) -> Process:
    """Start the Procfile's own command, by default with two workers."""
    env = {"PORT": str(port), "WEB_CONCURRENCY": "2", **env}
    return Process(PROCFILE_COMMAND, port, env=env, cwd=cwd)


def run(command: str, cwd: Path = ROOT, **env: str) -> str:
    """Run a command to its end as a shell of its own does, and return what it says."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COV", "PYTEST", "PIPENV_ACTIVE", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env={**inherited, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def copy_project(folder: Path) -> None:
    """Copy the project as it is now, but for what git is told to leave out."""
    files = "git ls-files -z --cached --others --exclude-standard"
    run(f"{files} | xargs -0 cp --parents --target-directory={folder}")


def copy_site(folder: Path) -> Path:
    """Return a copy of the site, with a page that fails."""
    shutil.copytree(PACKAGE, folder / PACKAGE.name)
    shutil.copy(ROOT / ".flaskenv", folder)
    with (folder / PACKAGE.name / "__init__.py").open("a") as file:
        file.write("\nAPP.add_url_rule('/fail', 'fail', lambda: 1 / 0)\n")
    return folder
