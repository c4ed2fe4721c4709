"""Security headers, on the responses of any application."""

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.serving.conftest import make_app

NOTHING = ("default-src", "base-uri", "frame-ancestors")
ITSELF = (
    *("connect-src", "font-src", "form-action", "frame-src"),
    *("img-src", "media-src", "script-src", "style-src"),
)
POLICY = dict.fromkeys(NOTHING, "'none'") | dict.fromkeys(ITSELF, "'self'")
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",  # over HTTPS: see test_gate.py
    "X-Content-Type-Options": "nosniff",
}


def policy_of(response: TestResponse) -> dict[str, str]:
    (policy,) = response.headers.getlist("Content-Security-Policy")
    return dict(directive.split(" ", 1) for directive in policy.split("; "))


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        *((method, "/", 200) for method in ("GET", "HEAD", "OPTIONS")),
        ("POST", "/", 405),
        ("GET", "/private", 200),
        ("GET", "/static/text.txt", 200),
        ("GET", "/static/picture.png", 200),
        ("GET", "/nothing", 404),
        ("GET", "/fail?text=a", 500),
        ("GET", "/up", 200),
    ],
)
def test_every_response_has_the_security_headers_once(
    app: Flask, method: str, url: str, status: int
) -> None:
    response = app.test_client().open(url, "https://localhost", method=method)

    assert response.status_code == status
    assert policy_of(response) == POLICY
    for name, value in HEADERS.items():
        assert response.headers.getlist(name) == [value]
    assert "Set-Cookie" not in response.headers


def test_a_site_adds_sources_to_the_policy() -> None:
    sources = {
        "img-src": ["https://a.test", "data:"],
        "font-src": ("https://a.test:443/*", "blob:"),
        "base-uri": "'self'",
        "worker-src": ["blob:"],
    }

    response = make_app(CONTENT_SECURITY_POLICY=sources).test_client().get("/")

    assert policy_of(response) == {
        **POLICY,
        "img-src": "'self' https://a.test data:",
        "font-src": "'self' https://a.test:443/* blob:",
        "base-uri": "'self'",
        "worker-src": "blob:",
    }


def test_a_view_replaces_a_security_header_with_its_own(app: Flask) -> None:
    own = {
        "Content-Security-Policy": "default-src https://elsewhere.test",
        "strict-transport-security": "max-age=1",
    }
    app.add_url_rule("/open", "open", lambda: ("", own))

    response = app.test_client().get("/open", base_url="https://localhost")

    for name, value in own.items():
        assert response.headers.getlist(name) == [value]
