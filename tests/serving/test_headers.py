"""Security headers, on the responses of any application."""

import pytest
from click import ClickException
from flask import Flask
from werkzeug.test import TestResponse

from blasto.serving.headers import HEADERS

from tests.serving.conftest import make_app


def directives(response: TestResponse) -> dict[str, str]:
    (policy,) = response.headers.getlist("Content-Security-Policy")
    return dict(directive.split(" ", 1) for directive in policy.split("; "))


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("OPTIONS", "/", 200),
        ("GET", "/private", 200),
        ("POST", "/", 405),
        ("GET", "/static/text.txt", 200),
        ("GET", "/static/picture.png", 200),
        ("GET", "/static/nothing", 404),
        ("GET", "/nothing", 404),
        ("GET", "/fail?text=a", 500),
    ],
)
def test_every_response_has_the_security_headers_once(
    app: Flask, method: str, url: str, status: int
) -> None:
    response = app.test_client().open(url, method=method)

    assert response.status_code == status
    assert directives(response)["default-src"] == "'none'"
    assert {name: response.headers.getlist(name) for name in HEADERS} == {
        name: [value] for name, value in HEADERS.items()
    }
    assert "Set-Cookie" not in response.headers


def test_the_policy_allows_the_site_itself_and_nothing_inline(app: Flask) -> None:
    policy = directives(app.test_client().get("/"))

    for closed in ("default-src", "base-uri", "frame-ancestors"):
        assert policy.pop(closed) == "'none'"
    assert set(policy) >= {"script-src", "style-src", "img-src", "font-src", "connect-src"}
    assert set(policy.values()) == {"'self'"}


def test_a_site_adds_sources_to_the_policy() -> None:
    sources = {
        "img-src": ["https://a.test", "data:"],
        "base-uri": "'self'",
        "worker-src": ["blob:"],
    }

    policy = directives(make_app(CONTENT_SECURITY_POLICY=sources).test_client().get("/"))

    assert policy["img-src"] == "'self' https://a.test data:"
    assert policy["base-uri"] == "'self'"
    assert policy["worker-src"] == "blob:"
    assert policy["script-src"] == "'self'"


@pytest.mark.parametrize("value", ["img-src *", ["a"], {"img-src": "a; script-src *"}, {"A": "b"}])
def test_an_invalid_policy_is_an_error(value: object) -> None:
    with pytest.raises(ClickException, match=r"^CONTENT_SECURITY_POLICY must be"):
        make_app(CONTENT_SECURITY_POLICY=value)


def test_a_view_replaces_a_security_header_with_its_own(app: Flask) -> None:
    policy = {"content-security-policy": "default-src https://elsewhere.test"}
    app.add_url_rule("/open", "open", lambda: ("", policy))

    response = app.test_client().get("/open")

    assert response.headers.getlist("Content-Security-Policy") == list(policy.values())


def test_hsts_of_a_year_is_sent_over_https_only(app: Flask) -> None:
    secure = app.test_client().get("/", base_url="https://localhost")
    plain = app.test_client().get("/")

    max_age = secure.headers["Strict-Transport-Security"].removeprefix("max-age=")
    assert int(max_age) >= 365 * 24 * 60 * 60
    assert "Strict-Transport-Security" not in plain.headers
