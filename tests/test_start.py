"""Every way to start the site, and how it stops: on Ctrl+C, with one line on bad input."""

import signal
import socket
from http.client import HTTPException
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.conftest import lack
from tests.processes import PROCFILE_COMMAND, Process, copy_site, free_port, procfile

pytestmark = pytest.mark.server


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The site in a folder of its own, with a page that fails."""
    return copy_site(tmp_path)


@pytest.mark.parametrize(
    "command",
    [
        "flask run",
        "python -m flask run",
        "flask run --host=0.0.0.0",
        "flask run --debug",
        "python -m blasto",
        PROCFILE_COMMAND,
    ],
)
def test_it_starts_serves_both_pages_and_stops_on_ctrl_c(command: str) -> None:
    port = free_port()
    process = Process(
        command,
        port,
        env={"PORT": str(port), "WEB_CONCURRENCY": "2", "FLASK_RUN_PORT": str(port)},
    )
    with process:
        assert "Blasto" in process.get("/").text
        assert "Newcomer" in process.get("/user/Newcomer").text

        process.send(signal.SIGINT)

        process.wait()
    assert "Traceback" not in process.output


def test_gunicorn_serves_the_package_without_a_configuration() -> None:
    port = free_port()
    with Process("gunicorn blasto:APP", port, env={"PORT": str(port)}) as process:
        assert process.get("/user/Newcomer").status == 200


def test_flask_run_serves_on_port_5000_with_nothing_set() -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 5000)) == 0:
            lack("port 5000 is in use: stop what listens there")
    with Process("flask run", 5000) as process:
        assert process.get("/user/Newcomer").status == 200


def test_flask_run_on_a_busy_port_ends_with_a_plain_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = Process(f"python -m blasto --port {server.getsockname()[1]}", 0)

        assert process.wait() != 0
    assert "is in use" in process.output
    assert "Traceback" not in process.output


def test_in_debug_mode_it_shows_the_debugger_and_reloads_on_change(copy: Path) -> None:
    port = free_port()
    with Process(f"flask run --debug --port {port}", port, cwd=copy) as process:
        assert "Werkzeug Debugger" in process.get("/fail").text

        with (copy / "blasto" / "__init__.py").open("a") as file:
            file.write("\nAPP.add_url_rule('/new', 'new', lambda: 'new')\n")

        deadline = monotonic() + 20
        while status(process, "/new") != 200:
            assert monotonic() < deadline, process.output
            sleep(0.2)


def test_in_debug_mode_it_restarts_for_the_style_which_its_headers_allow_by_hash(
    copy: Path,
) -> None:
    port = free_port()
    with Process(f"flask run --debug --port {port}", port, cwd=copy) as process:
        before = process.get("/").header("Content-Security-Policy")

        with (copy / "blasto" / "templates" / "style.css").open("a") as file:
            file.write("\np { color: red }\n")

        deadline = monotonic() + 20
        while status(process, "/") != 200 or (
            process.get("/").header("Content-Security-Policy") == before
        ):
            assert monotonic() < deadline, process.output
            sleep(0.2)


def status(process: Process, target: str) -> int | None:
    try:
        return process.get(target).status
    except (OSError, HTTPException):  # between the two processes
        return None


@pytest.mark.parametrize("command", ["flask run", PROCFILE_COMMAND])
def test_without_debug_mode_an_error_is_a_page(copy: Path, command: str) -> None:
    port = free_port()
    env = {"PORT": str(port), "FLASK_RUN_PORT": str(port)}
    with Process(command, port, cwd=copy, env=env) as process:
        answer = process.get("/fail")

    assert answer.status == 500
    assert "Internal Server Error" in answer.text
    assert "Werkzeug" not in answer.text


@pytest.mark.parametrize("name", ["FLASK_DEBUG", "WERKZEUG_RUN_MAIN", "FLASK_ENV"])
def test_under_gunicorn_the_debugger_is_never_on(copy: Path, name: str) -> None:
    port = free_port()
    env = {"PORT": str(port), "FLASK_DEBUG": "1", name: "development" if "ENV" in name else "true"}
    with Process(PROCFILE_COMMAND, port, cwd=copy, env=env) as process:
        answer = process.get("/fail")

    assert answer.status == 500
    assert "Internal Server Error" in answer.text
    assert "Werkzeug" not in answer.text


def test_bytes_that_are_not_utf_8_are_a_bad_request_on_the_wire(site: Process) -> None:
    assert site.get("/user/%ff").status == 400
    assert site.get("/user?name=%c0%af").status == 400
    assert site.get("/user/%ed%a0%80").status == 400


@pytest.mark.parametrize(
    ("broken", "env", "advice"),
    [
        ("import nothing_like_it", {}, "No module named 'nothing_like_it'"),
        ("1 / 0", {}, "ZeroDivisionError: division by zero"),
        ("def (", {}, "SyntaxError: invalid syntax"),
        ("", {"FLASK_TRUSTED_HOSTS": "a,,b"}, "FLASK_TRUSTED_HOSTS takes"),
        ("", {"FLASK_SECURITY_CONTACT": "me"}, "FLASK_SECURITY_CONTACT takes"),
        ("", {"PORT": "http"}, "'http' is not a valid port number"),
    ],
)
def test_a_site_that_cannot_start_ends_at_once_with_a_plain_line(
    copy: Path, broken: str, env: dict[str, str], advice: str
) -> None:
    with (copy / "blasto" / "app.py").open("a") as file:
        file.write(f"\n{broken}\n")

    process = procfile(free_port(), copy, **env)

    assert process.wait() != 0
    (line,) = [line for line in process.lines if line and "[INFO] Starting" not in line]
    assert advice in line


def test_a_busy_port_ends_the_procfiles_command_with_a_plain_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        process = procfile(port)

        assert process.wait() != 0
    (line,) = [line for line in process.lines if "[INFO] Starting" not in line]
    assert line == f"Port {port}: address already in use. Stop what listens there, or set PORT."
