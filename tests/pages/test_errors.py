"""Errors: the right status, in the site's layout, with what to do and the request's ID."""

from uuid import UUID

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from werkzeug.exceptions import default_exceptions

from blasto.app import create_app

from tests.sitemap import attributes, parse


@pytest.mark.parametrize("status", default_exceptions)
def test_an_error_page_says_what_to_do(app: Flask, status: int) -> None:
    app.add_url_rule("/specimen", "specimen", lambda: abort(status))
    client = app.test_client()

    response = client.get("/specimen")

    page, index = parse(response.text), parse(client.get("/").text)
    (html,) = page.query("html")
    assert response.status_code == status
    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert not page.errors
    assert len(page.query("h1")) == 1
    assert str(status) in page.query("main")[0].to_text()
    assert "/" in attributes(page, "main a", "href")
    assert attributes(page, "link[rel=stylesheet]", "href")
    assert html.attrs == index.query("html")[0].attrs


@pytest.mark.parametrize(
    ("method", "url", "status"), [("GET", "/no/page", 404), ("POST", "/", 405)]
)
def test_routing_errors_have_the_page_too(
    client: FlaskClient, method: str, url: str, status: int
) -> None:
    response = client.open(url, method=method)

    assert response.status_code == status
    assert len(parse(response.text).query("h1")) == 1


def test_an_exception_is_a_500_without_its_message(app: Flask) -> None:
    app.add_url_rule("/specimen", "specimen", lambda: str(int("a secret")))

    response = app.test_client().get("/specimen")

    assert response.status_code == 500
    assert "secret" not in response.text


def test_a_description_of_the_view_is_shown_and_escaped(app: Flask) -> None:
    app.add_url_rule("/specimen", "specimen", lambda: abort(404, "<b>Sold out</b>"))

    response = app.test_client().get("/specimen")

    assert "&lt;b&gt;Sold out&lt;/b&gt;" in response.text


@pytest.mark.parametrize("sent", [None, "not an ID", "x" * 300])
def test_an_error_page_shows_a_new_request_id_without_one_from_the_router(
    client: FlaskClient, sent: str | None
) -> None:
    page = parse(client.get("/no/page", headers={"X-Request-ID": sent} if sent else {}).text)

    assert UUID(page.query("code")[0].to_text()).version == 4


def test_an_error_page_shows_the_request_id_of_the_router(client: FlaskClient) -> None:
    sent = "01234567-89ab-cdef-0123-456789abcdef"

    page = parse(client.get("/no/page", headers={"X-Request-ID": sent}).text)

    assert page.query("code")[0].to_text() == sent


def test_an_untrusted_host_gets_no_link_to_itself() -> None:
    client = create_app({"TRUSTED_HOSTS": ["site.test"]}).test_client()

    for _ in range(2):  # the second time, the page is in the cache
        trusted = client.get("/", base_url="http://SITE.test")
        response = client.get("/", base_url="http://evil.test")

    assert trusted.status_code == 200
    assert response.status_code == 400
    assert response.mimetype == "text/plain"
    assert "evil.test" not in response.text
    assert response.headers["Cache-Control"] == "no-store"
