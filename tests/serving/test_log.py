"""Events in the log: one line each, whoever logs, which no client can forge."""

import logging
import logging.config
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress

import flask.logging
import pytest
from flask import Flask

from tests.serving.conftest import make_app

REQUEST_ID = "01234567-89ab-cdef-0123-456789abcdef"
OWN = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"own": {"format": "own %(message)s"}},
    "handlers": {
        "own": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "own"}
    },
    "root": {"level": "INFO", "handlers": ["own"]},
}


@pytest.fixture(autouse=True)
def _state_of_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging, "lastResort", None)
    monkeypatch.setattr(flask.logging, "default_handler", logging.NullHandler())
    monkeypatch.setenv("DYNO", "web.1")  # no time
    yield
    logging.captureWarnings(capture=False)
    logging.root.setLevel(logging.WARNING)


def forget_all() -> None:
    """Have logging as it is in a new process."""
    logging.captureWarnings(capture=False)
    logging.root.handlers.clear()  # pytest's
    logging.root.manager.loggerDict.pop("specimen.app", None)


def new_app() -> Flask:
    forget_all()
    return make_app()


def test_an_event_of_any_logger_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    app = new_app()

    app.logger.info("started %s", "twice")
    logging.getLogger("shop.prices").info("two\nlines")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    first, second, third = capsys.readouterr().out.splitlines()
    assert first == 'level=info message="started twice"'
    assert second == r'level=info message="two\nlines"'
    assert third.startswith('level=warning message="')
    assert "DeprecationWarning: old" in third


@pytest.mark.parametrize("debug", [True, False])
def test_debug_messages_of_the_site_are_shown_with_debug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, debug: bool
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", str(int(debug)))
    new_app()

    logging.getLogger("specimen.prices").debug("details")
    logging.getLogger("library").debug("noise")

    assert capsys.readouterr().out == ('level=debug message="details"\n' if debug else "")
    logging.getLogger("specimen").setLevel(logging.NOTSET)


@pytest.mark.parametrize("before", [True, False])
def test_a_sites_own_configuration_wins(
    capsys: pytest.CaptureFixture[str], *, before: bool
) -> None:
    forget_all()
    if before:
        logging.config.dictConfig(OWN)
    app = make_app()
    if not before:
        app.logger.info("early")
        capsys.readouterr()
        logging.config.dictConfig(OWN)

    app.logger.info("once")

    assert capsys.readouterr().out == "own once\n"


def test_an_event_in_a_request_has_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    new_app().test_client().get("/fail?text=hello", headers={"X-Request-ID": REQUEST_ID})

    event, error, *traceback = capsys.readouterr().out.splitlines()
    assert event == f'level=warning message="hello" request_id="{REQUEST_ID}"'
    assert error == f'level=error message="Exception on /fail [GET]" request_id="{REQUEST_ID}"'
    assert traceback[-1] == "    ValueError: hello"


@pytest.mark.parametrize(
    ("sent", "is_accepted"),
    [
        *((sent, True) for sent in (REQUEST_ID, "a" * 20, "a" * 200, "_-" * 10)),
        *((sent, False) for sent in ("", "a" * 19, "a" * 201, "a b" * 10, "é" * 20, "a=" * 10)),
    ],
)
def test_a_request_has_the_routers_id_or_a_new_one(
    capsys: pytest.CaptureFixture[str], sent: str, *, is_accepted: bool
) -> None:
    client = new_app().test_client()

    page, other = (client.get("/fail?text=a", headers={"X-Request-ID": sent}).text for _ in "ab")

    request_id = page.rpartition(">")[2]
    assert (request_id == sent) == (page == other) == is_accepted
    assert is_accepted or re.fullmatch("[0-9a-f]{32}", request_id)
    assert capsys.readouterr().out.count(request_id) == (4 if is_accepted else 2)


def test_a_stack_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    new_app().logger.info("here", stack_info=True)

    event, heading, *_ = capsys.readouterr().out.splitlines()
    assert event == 'level=info message="here"'
    assert heading == "    Stack (most recent call last):"


def test_off_heroku_a_line_has_its_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DYNO")

    new_app().logger.info("now")

    line = capsys.readouterr().out
    assert re.match(r"time=20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 level=info ", line)


def test_a_client_can_forge_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    evil = '"\nlevel=info\rlevel=info\x1b[2J\u2028level=info\x85level=info'

    new_app().test_client().get(
        "/fail", query_string={"text": evil}, headers={"X-Request-ID": "x level=info"}
    )

    output = capsys.readouterr().out
    assert [line[:9] for line in output.splitlines() if line.startswith("level=")] == [
        "level=war",
        "level=err",
    ]
    assert output.replace("\n", "").isprintable()


def test_a_log_that_cannot_be_written_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with suppress(OSError), open("/dev/full", "w") as full:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", full)
        client = new_app().test_client()
        statuses = [client.get("/fail?text=a").status_code for _ in range(2)]
        monkeypatch.undo()

    assert statuses == [500, 500]
    assert capsys.readouterr().err.count("The log cannot be written") == 1


def test_a_mistake_in_a_log_call_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    new_app().logger.info("%d loaves", "two")

    assert "%d loaves" in capsys.readouterr().err
