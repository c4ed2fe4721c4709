"""The addresses of the site, all of them."""

from flask import Flask
from flask.testing import FlaskClient


def test_the_url_map_is_this(app: Flask) -> None:
    rules = {
        rule.rule: (rule.endpoint, sorted(rule.methods or ())) for rule in app.url_map.iter_rules()
    }

    assert rules == {
        "/": ("index", ["GET", "HEAD", "OPTIONS"]),
        "/.well-known/security.txt": ("security", ["GET", "HEAD", "OPTIONS"]),
        "/favicon.ico": ("static", ["GET", "HEAD", "OPTIONS"]),
        "/robots.txt": ("static", ["GET", "HEAD", "OPTIONS"]),
        "/static/<path:filename>": ("static", ["GET", "HEAD", "OPTIONS"]),
        "/user": ("user", ["GET", "HEAD", "OPTIONS"]),
        "/user/<name:name>": ("user", ["GET", "HEAD", "OPTIONS"]),
    }


def test_an_address_that_is_nearly_right_is_no_redirect(client: FlaskClient) -> None:
    merged = client.get("/static//robots.txt")
    alias = client.get("/static/robots.txt", buffered=True)

    assert merged.status_code == 404
    assert alias.status_code == 200


def test_the_package_builds_the_application() -> None:
    from blasto import APP  # noqa: PLC0415 - the import is what is tested

    assert isinstance(APP, Flask)
