"""Events in the log: one line each, which no client can forge."""

import pytest

from tests.serving.conftest import make_app

REQUEST_ID = "01234567-89ab-cdef-0123-456789abcdef"


def test_an_event_outside_a_request_has_no_id(capsys: pytest.CaptureFixture[str]) -> None:
    make_app().logger.info("started %s", "twice")

    assert capsys.readouterr().out == 'level=info message="started twice"\n'


def test_an_event_in_a_request_has_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    make_app().test_client().get("/fail?text=hello", headers={"X-Request-ID": REQUEST_ID})

    event, error, *traceback = capsys.readouterr().out.splitlines()
    assert event == f'level=warning message="hello" request_id={REQUEST_ID}'
    assert error == f'level=error message="Exception on /fail [GET]" request_id={REQUEST_ID}'
    assert traceback[-1] == "    ValueError: hello"


def test_a_client_can_forge_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    evil = '"\nlevel=info\rlevel=info\x1b[2J\u2028level=info\x85level=info'

    make_app().test_client().get(
        "/fail", query_string={"text": evil}, headers={"X-Request-ID": "x level=info"}
    )

    output = capsys.readouterr().out
    assert [line[:9] for line in output.splitlines() if line.startswith("level=")] == [
        "level=war",
        "level=err",
    ]
    assert output.replace("\n", "").isprintable()
