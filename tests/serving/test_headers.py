"""Security headers, on the responses of any application."""

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.serving.conftest import serve

NOTHING = ("default-src", "base-uri", "frame-ancestors")
ITSELF = (
    *("connect-src", "font-src", "form-action", "frame-src"),
    *("img-src", "manifest-src", "media-src", "script-src", "style-src"),
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


def test_every_response_has_the_security_headers_once(client: FlaskClient) -> None:
    for url, status in {"/": 200, "/static/picture.png": 200, "/up": 200, "/nothing": 404}.items():
        response = client.get(url, "https://localhost")

        assert response.status_code == status
        assert policy_of(response) == POLICY
        for name, value in HEADERS.items():
            assert response.headers.getlist(name) == [value]
        assert "Set-Cookie" not in response.headers


def test_a_site_adds_sources_to_the_policy() -> None:
    added = {
        "img-src": ["https://a.test:443/*", "data:"],
        "base-uri": "'self'",
        "worker-src": ("blob:", "data:"),
    }

    response = serve(CONTENT_SECURITY_POLICY=added).get("/")

    assert policy_of(response) == {
        **POLICY,
        "img-src": "'self' https://a.test:443/* data:",
        "base-uri": "'self'",
        "worker-src": "blob: data:",
    }


def test_a_view_replaces_a_security_header_with_its_own() -> None:
    own = {
        "Content-Security-Policy": "default-src https://elsewhere.test",
        "strict-transport-security": "max-age=1",
    }

    response = serve(lambda: ("", own)).get("/", "https://localhost")

    for name, value in own.items():
        assert response.headers.getlist(name) == [value]
