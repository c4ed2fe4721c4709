"""Errors of any application: pages, problems, own responses, and what is left if a page fails."""

from http import HTTPStatus
from typing import Any, NoReturn

import pytest
from flask import Flask, Response, abort, jsonify
from jinja2 import DictLoader
from werkzeug.exceptions import HTTPException, NotFound

from tests.serving.conftest import View, fail, serve

REQUEST_ID = "id-" * 10


ACCEPT = [
    *((accept, True) for accept in ("application/json", "application/problem+json")),
    *((accept, True) for accept in ("text/html;q=0.5, application/json", "application/*")),
    *((accept, False) for accept in ("", "*/*", "text/html, application/json", "image/png")),
    ("application/json;q=0.1, text/*", False),
    ("application/json" + ", a/b" * 100, False),
]


@pytest.mark.parametrize(("accept", "is_problem"), ACCEPT)
def test_an_error_is_a_problem_if_json_is_preferred(accept: str, *, is_problem: bool) -> None:
    client = serve(lambda: abort(503, "Soon", retry_after=9))

    response = client.get("/", headers={"Accept": accept, "X-Request-ID": REQUEST_ID})

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "9"
    assert response.headers["Cache-Control"] == "no-store"
    if is_problem:
        problem = {"title": "Service Unavailable", "status": 503, "detail": "Soon"}
        assert response.mimetype == "application/problem+json"
        assert response.get_json() == problem | {"request_id": REQUEST_ID}
    else:
        assert response.content_type == "text/html; charset=utf-8"
        assert response.text.startswith("<h1>503</h1>")


class OwnBody(NotFound):
    def get_body(self, *_: Any) -> str:
        return "own"


def own_body() -> NoReturn:
    raise OwnBody


@pytest.mark.parametrize("view", [lambda: abort(404, response=Response("own", 404)), own_body])
def test_an_errors_own_response_is_sent(view: View) -> None:
    response = serve(view).get("/", headers={"Accept": "application/json"})

    assert (response.status_code, response.text) == (404, "own")


@pytest.mark.parametrize("handled", [HTTPException, Exception, 404])
@pytest.mark.parametrize("first", [True, False])
def test_a_sites_own_handler_wins(handled: Any, *, first: bool) -> None:
    def register(app: Flask) -> None:
        app.register_error_handler(handled, lambda error: (jsonify(own=error.code), error.code))

    client = serve(before=register if first else None)
    if not first:
        register(client.application)

    assert client.get("/nothing").get_json() == {"own": 404}


@pytest.mark.parametrize("templates", [{"error.html": "{{ 1 / 0 }}"}, {}], ids=["broken", "none"])
@pytest.mark.parametrize(("view", "status"), [(fail, 500), (lambda: abort(404, "No film"), 404)])
def test_without_its_page_an_error_is_plain_text(
    caplog: pytest.LogCaptureFixture, templates: dict[str, str], view: View, status: int
) -> None:
    client = serve(view)
    client.application.jinja_loader = DictLoader(templates)

    response = client.get("/?text=secret", headers={"X-Request-ID": REQUEST_ID})

    assert response.status_code == status
    assert response.mimetype == "text/plain"
    assert f"{status} {HTTPStatus(status).phrase}\n" in response.text
    assert ("No film" in response.text) == (status == 404)
    assert REQUEST_ID in response.text
    assert "secret" not in response.text
    assert "Content-Security-Policy" in response.headers
    assert ("error.html" in caplog.text) == bool(templates)
    assert "During handling" not in caplog.text  # each traceback is logged once
