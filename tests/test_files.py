"""The files that browsers, robots and researchers look for at fixed addresses."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient

from blasto.app import create_app


def test_robots_may_come_in(client: FlaskClient) -> None:
    response = client.get("/robots.txt", buffered=True)

    assert response.content_type == "text/plain; charset=utf-8"
    assert response.text.splitlines()[-2:] == ["User-agent: *", "Allow: /"]


def test_the_icon_is_one(client: FlaskClient) -> None:
    response = client.get("/favicon.ico", buffered=True)

    assert response.content_type == "image/x-icon"
    assert response.data.startswith(b"\0\0\1\0")


def test_a_file_that_is_not_there_has_an_address_without_a_version(app: Flask) -> None:
    with app.test_request_context():
        assert url_for("static", filename="nothing") == "/static/nothing"


def test_there_is_no_security_txt_where_nobody_is_named(client: FlaskClient) -> None:
    assert client.get("/.well-known/security.txt").status_code == 404


def test_security_txt_names_the_contact_and_has_not_nearly_expired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLASK_SECURITY_CONTACT", "mailto:security@site.test?subject=a&b")

    response = create_app().test_client().get("/.well-known/security.txt")

    fields = dict(line.split(": ", 1) for line in response.text.splitlines())
    left = datetime.fromisoformat(fields["Expires"]) - datetime.now(UTC)
    assert response.content_type == "text/plain; charset=utf-8"
    assert fields["Contact"] == "mailto:security@site.test?subject=a&b"
    assert timedelta(days=30) < left < timedelta(days=365), "set another year in security.txt"
