"""Errors: each with its own status, in the site's lay-out, with a way back."""

from uuid import UUID

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient

from tests.markup import Parsed


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 418, 429, 500, 501, 503])
def test_an_error_has_its_status_and_a_way_back(app: Flask, status: int) -> None:
    app.add_url_rule("/fail", view_func=lambda: abort(status))

    response = app.test_client().get("/fail")

    page = Parsed(response.text)
    assert response.status_code == status
    assert response.content_type == "text/html; charset=utf-8"
    assert page.text("h1")
    assert page.links == ["#main", "/", "/"]  # to skip, home, and back
    assert page.attributes("html") == Parsed(app.test_client().get("/").text).attributes("html")


def test_an_address_that_is_not_there_is_not_found(client: FlaskClient) -> None:
    response = client.get("/nothing")

    assert response.status_code == 404
    assert "Not Found" in response.text


def test_a_method_that_is_not_allowed_says_which_are(client: FlaskClient) -> None:
    response = client.post("/user/Bo")

    assert response.status_code == 405
    assert set(response.allow) == {"GET", "HEAD", "OPTIONS"}


def test_an_exception_is_an_internal_server_error(app: Flask) -> None:
    def fail() -> str:
        raise RuntimeError("a secret")

    app.add_url_rule("/fail", view_func=fail)

    response = app.test_client().get("/fail")

    assert response.status_code == 500
    assert Parsed(response.text).text("h1") == "Internal Server Error"
    assert "secret" not in response.text


def test_an_error_names_its_request(client: FlaskClient) -> None:
    given, made, forged = (
        Parsed(client.get("/nothing", headers=headers).text).text("code")
        for headers in (
            {"X-Request-ID": "an-id-of-the-router-itself"},
            {},
            {"X-Request-ID": "an id that no router gives"},
        )
    )

    assert given == "an-id-of-the-router-itself"
    assert UUID(made).version == UUID(forged).version == 4


def test_a_description_is_escaped(app: Flask) -> None:
    app.add_url_rule("/fail", view_func=lambda: abort(403, "<b>No</b>"))

    response = app.test_client().get("/fail")

    assert "&lt;b&gt;No&lt;/b&gt;" in response.text
