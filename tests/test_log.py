"""Logs: a line a request, an error once, and nothing a visitor sends can look like either."""

import json
import re
import shlex
from pathlib import Path
from time import monotonic, sleep

import pytest

from blasto.app import create_app

from tests.processes import PLATFORM, Process, copy_site, free_port, procfile

REQUEST_ID = "01234567-89ab-cdef-0123-456789abcdef"


def fields(line: str) -> dict[str, str]:
    """Parse a line of logfmt; a shell's quotes are JSON's for what is tested here."""
    return dict(field.split("=", 1) for field in shlex.split(line))


def lines_with(process: Process, text: str) -> list[str]:
    """Return the lines that hold a text, once there is one."""
    deadline = monotonic() + 5
    while not (lines := [line for line in process.lines if text in line]):
        assert monotonic() < deadline, process.output
        sleep(0.02)
    return lines


@pytest.mark.server
def test_a_request_is_one_line(site: Process) -> None:
    site.get("/user/Line", headers={"X-Request-ID": REQUEST_ID})

    (line,) = lines_with(site, "/user/Line")
    logged = fields(line)
    assert logged.pop("bytes").isdecimal()
    assert re.fullmatch(r"\d+\.\dms", logged.pop("duration"))
    assert logged == {
        "method": "GET",
        "path": "/user/Line",
        "status": "200",
        "request_id": REQUEST_ID,
    }


@pytest.mark.server
def test_a_request_without_an_id_has_a_dash_in_its_place(site: Process) -> None:
    site.get("/user/Nameless")

    (line,) = lines_with(site, "/user/Nameless")
    assert fields(line)["request_id"] == "-"


@pytest.mark.server
@pytest.mark.parametrize(
    ("target", "request_id"),
    [
        ("/forge-1%0amethod=GET%20path=/", REQUEST_ID),
        ('/forge-2"status=500', REQUEST_ID),
        ('/forge-3\\"status=500', REQUEST_ID),
        ("/forge-4?a=b", REQUEST_ID),
        ("/forge-5", 'a" status=500 b="'),
        ("/forge-6", "a\tstatus=500"),
        ("/forge-7", "\xa0\x85status=500"),
    ],
)
def test_a_visitor_can_forge_no_line_and_no_field(
    site: Process, target: str, request_id: str
) -> None:
    site.get(target, headers={"X-Request-ID": request_id})

    (line,) = lines_with(site, target[:8])
    logged = fields(line)
    assert list(logged) == ["method", "path", "status", "bytes", "duration", "request_id"]
    assert logged["path"] == target
    assert logged["status"] == "404"
    assert site.get("/").status == 200


def test_what_happens_outside_a_request_is_a_line_without_its_id(
    capsys: pytest.CaptureFixture[str],
) -> None:
    create_app().logger.warning('It said "no"\a, %s', "twice")

    assert capsys.readouterr().out == 'level=warning message="It said \\"no\\"\\u0007, twice"\n'


def test_an_exception_is_set_below_its_line_with_nothing_invisible(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> str:
        raise ValueError("é\x1b[2J\x9b")

    app = create_app()
    app.add_url_rule("/fail", view_func=fail)
    app.test_client().get("/fail", headers={"X-Request-ID": REQUEST_ID})

    line, *traceback = capsys.readouterr().out.splitlines()
    assert line == f'level=error message="Exception on /fail [GET]" request_id={REQUEST_ID}'
    assert traceback[0] == "    Traceback (most recent call last):"
    assert traceback[-1] == r"    ValueError: é\x1b[2J\x9b"


@pytest.mark.server
@pytest.mark.parametrize("command", ["gunicorn", "flask run"])
def test_an_error_is_logged_once_with_its_traceback_and_the_id_on_the_page(
    tmp_path: Path, command: str
) -> None:
    port = free_port()
    copy = copy_site(tmp_path)
    with (
        procfile(port, copy, **PLATFORM)
        if command == "gunicorn"
        else Process(f"flask run --port {port}", port, cwd=copy)
    ) as process:
        given = process.get("/fail", headers={"X-Request-ID": REQUEST_ID})
        made = process.get("/fail")
        forged = process.get("/fail", headers={"X-Request-ID": 'x" level=error'})

    (of_made,) = re.findall(r"<code>([\w-]{36})</code>", made.text)
    (of_forged,) = re.findall(r"<code>([\w-]{36})</code>", forged.text)
    errors = [fields(line) for line in process.lines if line.startswith("level=error")]
    assert REQUEST_ID in given.text
    assert [error["request_id"] for error in errors] == [REQUEST_ID, of_made, of_forged]
    assert process.output.count("    ZeroDivisionError: division by zero") == 3


@pytest.mark.server
def test_an_error_message_cannot_start_a_line_or_write_to_the_terminal(tmp_path: Path) -> None:
    copy = copy_site(tmp_path)
    with (copy / "blasto" / "__init__.py").open("a") as file:
        file.write(
            "\nfrom flask import request\n"
            "def echo():\n"
            "    APP.logger.info(request.args['text'])\n"
            "    raise ValueError(request.args['text'])\n"
            "APP.add_url_rule('/echo', 'echo', echo)\n"
        )
    evil = "a\nlevel=info\rlevel=info\x1b[2J\u2028level=info\x85b"
    with procfile(free_port(), copy) as process:
        process.get("/echo?text=a%0Alevel=info%0Dlevel=info%1B%5B2J%E2%80%A8level=info%C2%85b")

    ours = [line for line in process.lines if line.startswith("level=")]
    assert len(ours) == 2
    assert json.dumps(evil) in ours[0]
    assert "\r" not in process.output
    assert "\x1b" not in process.output
