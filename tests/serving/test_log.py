"""Events in the log: one line each, whoever logs, which no client can forge."""

import logging
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import flask.logging
import pytest
from flask.testing import FlaskClient

from tests.serving.conftest import Patch, fail, serve

Capture = pytest.CaptureFixture[str]

REQUEST_ID = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture(autouse=True)
def _state_of_logging(monkeypatch: Patch) -> Iterator[None]:
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging, "lastResort", None)
    monkeypatch.setattr(flask.logging, "default_handler", logging.NullHandler())
    monkeypatch.setenv("DYNO", "web.1")  # no time
    yield
    logging.root.setLevel(logging.WARNING)
    for name in ("specimen", "specimen.app"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.getLogger("specimen.app").handlers.clear()


def start(**own: Any) -> FlaskClient:
    """Start an application as in a new process, in which a site may have configured logging."""
    logging.captureWarnings(capture=False)
    logging.root.handlers.clear()  # pytest's
    if own:
        logging.basicConfig(**own)
    return serve(fail)


def warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)


def test_an_event_of_any_logger_is_one_line(capsys: Capture) -> None:
    app = start().application

    app.logger.info("started %s", "twice")
    logging.getLogger("a.library").warning("two\nlines")
    logging.getLogger("a.library").info("GET /?key=secret")
    warn()

    first, second, third = capsys.readouterr().out.splitlines()
    assert first == 'level=info message="started twice"'
    assert second == r'level=warning message="two\nlines"'
    assert third.startswith('level=warning message="')
    assert "DeprecationWarning: old" in third


def test_an_event_before_all_is_set_up_changes_no_later_one(capsys: Capture) -> None:
    logging.root.handlers.clear()
    client = serve(before=lambda app: app.logger.warning("early"))

    client.application.logger.warning("late")

    assert capsys.readouterr().out == 'level=warning message="late"\n'


def test_the_output_of_a_flask_command_has_no_log(monkeypatch: Patch, capsys: Capture) -> None:
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    start().application.logger.info("exported")

    output = capsys.readouterr()
    assert (output.out, output.err) == ("", 'level=info message="exported"\n')


def test_debug_mode_shows_debug_messages_of_the_site(monkeypatch: Patch, capsys: Capture) -> None:
    for debug, shown in (("1", 'level=debug message="details"\n'), ("0", "")):
        monkeypatch.setenv("FLASK_DEBUG", debug)
        start()

        logging.getLogger("specimen.prices").debug("details")
        logging.getLogger("a.library").debug("noise")

        assert capsys.readouterr().out == shown


@pytest.mark.parametrize("before", [True, False])
def test_a_sites_own_configuration_wins(capsys: Capture, *, before: bool) -> None:
    own: dict[str, Any] = {"format": "own %(message)s", "stream": sys.stdout, "level": "WARNING"}
    app = start(**own if before else {}).application
    app.logger.info("quiet")
    if not before:
        logging.basicConfig(**own)
        capsys.readouterr()

    app.logger.warning("once")
    warn()

    assert re.fullmatch(r"own once\nown .*: old\n.*\n+", capsys.readouterr().out)


def test_an_event_in_a_request_has_its_id_and_traceback_or_stack(capsys: Capture) -> None:
    client = start()
    client.get("/?text=hello", headers={"X-Request-ID": REQUEST_ID})
    client.application.logger.info("here", stack_info=True)

    event, error, *details = capsys.readouterr().out.splitlines()
    assert event == f'level=warning message="hello" request_id="{REQUEST_ID}"'
    assert error == f'level=error message="Exception on / [GET]" request_id="{REQUEST_ID}"'
    here = details.index('level=info message="here"')
    assert details[here - 1] == "    ValueError: hello"
    assert details[here + 1] == "    Stack (most recent call last):"


def test_a_request_has_the_routers_id_or_a_new_one(capsys: Capture) -> None:
    accepted = (REQUEST_ID, "a" * 20, "a" * 200, "_-" * 10, "+/=" * 7)
    client = start()
    for sent in (*accepted, "", "a" * 19, "a" * 201, "a b" * 10, "é" * 20, "a;" * 10):
        page, other = (client.get("/?text=a", headers={"X-Request-ID": sent}).text for _ in "ab")

        request_id = page.rpartition(">")[2]
        assert (request_id == sent) == (page == other) == (sent in accepted)
        assert sent in accepted or re.fullmatch("[0-9a-f]{32}", request_id)
        assert capsys.readouterr().out.count(request_id) == (4 if sent in accepted else 2)


def test_off_heroku_a_line_has_its_time(monkeypatch: Patch, capsys: Capture) -> None:
    monkeypatch.delenv("DYNO")

    start().application.logger.info("now")

    line = capsys.readouterr().out
    assert re.match(r"time=20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 level=info ", line)


def test_a_client_can_forge_no_line(capsys: Capture) -> None:
    evil = '"\nlevel=info\rlevel=info\x1b[2J\u2028level=info\x85level=info'

    start().get("/", query_string={"text": evil}, headers={"X-Request-ID": "x level=info"})

    output = capsys.readouterr().out
    assert re.findall("^level=...", output, re.MULTILINE) == ["level=war", "level=err"]
    assert output.replace("\n", "").isprintable()


def test_a_log_that_is_not_written_changes_no_response(monkeypatch: Patch, capsys: Capture) -> None:
    with suppress(OSError), open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        client = start()
        statuses = [client.get("/?text=a").status_code for _ in range(2)]
        monkeypatch.undo()

    assert statuses == [500, 500]
    assert capsys.readouterr().err == ""


def test_a_mistake_in_a_log_call_is_shown(capsys: Capture) -> None:
    start().application.logger.info("%d loaves", "two")

    assert "%d loaves" in capsys.readouterr().err
