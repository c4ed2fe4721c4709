"""Security headers: one set for every response, and HTTPS where the router ends it."""

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256

import pytest
from flask.testing import FlaskClient

from blasto.app import create_app

from tests.markup import Parsed
from tests.processes import PLATFORM, Answer, Process, copy_site, free_port, procfile

# What each response says of itself rather than of the site.
OF_THE_RESPONSE = {
    *("age", "allow", "cache-control", "connection", "content-disposition"),
    *(
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "etag",
        "last-modified",
        "location",
    ),
    *("accept-ranges", "server", "transfer-encoding", "vary", "x-robots-tag"),
}
STYLE = Parsed(create_app().test_client().get("/").text).text("style")
DIGEST = b64encode(sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{DIGEST}'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-permitted-cross-domain-policies": "none",
}
HSTS = {"strict-transport-security": "max-age=63072000"}  # two years
TARGETS = [
    ("GET", "/", 200),
    ("HEAD", "/", 200),
    ("OPTIONS", "/", 200),
    ("POST", "/", 405),
    ("GET", "/user/Bo", 200),
    ("HEAD", "/user/Bo", 200),
    ("DELETE", "/user/Bo", 405),
    ("GET", "/user/Bo/", 301),
    ("GET", "/user?name=Bo", 301),
    ("GET", "/user?name=..", 200),
    ("GET", "/user", 400),
    ("GET", "/user/%ff", 400),
    ("GET", "/nothing", 404),
    ("GET", "/static/icon.svg", 200),
    ("HEAD", "/static/icon.svg", 200),
    ("GET", "/static/nothing", 404),
    ("GET", "/favicon.ico", 200),
    ("GET", "/robots.txt", 200),
    ("GET", "/.well-known/security.txt", 404),
    ("GET", "/fail", 500),
]


def of_the_site(answer: Answer) -> dict[str, str]:
    names = [name.lower() for name, _ in answer.headers]
    assert len(names) == len(set(names)), "a header is sent twice"
    return {
        name.lower(): value for name, value in answer.headers if name.lower() not in OF_THE_RESPONSE
    }


@pytest.fixture(scope="module")
def failing_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Serve behind the router a site that has a page that fails."""
    copy = copy_site(tmp_path_factory.mktemp("site"))
    with procfile(free_port(), copy, **PLATFORM) as process:
        yield process


@pytest.mark.server
@pytest.mark.parametrize(("method", "target", "status"), TARGETS)
def test_every_response_over_https_has_the_same_headers(
    failing_site: Process, method: str, target: str, status: int
) -> None:
    answer = failing_site.get(target, method, {"X-Forwarded-Proto": "https"})

    assert answer.status == status
    assert of_the_site(answer) == HEADERS | HSTS


@pytest.mark.server
@pytest.mark.parametrize(
    ("method", "target"), [(method, target) for method, target, _ in TARGETS if "%ff" not in target]
)
def test_plain_http_behind_the_router_is_redirected_to_the_same_address(
    failing_site: Process, method: str, target: str
) -> None:
    proto = {"X-Forwarded-Proto": "http", "Host": "site.test"}

    answer = failing_site.get(target, method, proto)

    assert answer.status == 301
    assert answer.header("Location") == f"https://site.test{target}"
    assert of_the_site(answer) == HEADERS


def test_on_the_platform_plain_http_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNO", "web.1")

    client = create_app().test_client()
    response = client.get("/user/http", headers={"X-Forwarded-Proto": "http"})

    assert response.status_code == 301
    assert response.location == "https://localhost/user/http"


def test_https_is_to_be_stayed_with(client: FlaskClient) -> None:
    response = client.get("/", base_url="https://localhost")

    assert {name: response.headers[name] for name in HSTS} == HSTS


def test_a_developers_machine_is_left_alone(client: FlaskClient) -> None:
    plain = client.get("/")
    forwarded = client.get("/", headers={"X-Forwarded-Proto": "http"})

    assert plain.status_code == forwarded.status_code == 200
    assert "Strict-Transport-Security" not in plain.headers


def test_a_304_has_the_headers_too(client: FlaskClient) -> None:
    etag = client.get("/static/icon.svg", buffered=True).headers["ETag"]

    response = client.get("/static/icon.svg", headers={"If-None-Match": etag}, buffered=True)

    assert response.status_code == 304
    assert {name: response.headers[name] for name in HEADERS} == HEADERS


def test_no_response_sets_a_cookie(client: FlaskClient) -> None:
    for method, target, _ in TARGETS:
        response = client.open(target, method=method, buffered=True)

        assert "Set-Cookie" not in response.headers
        assert "Cookie" not in response.headers.get("Vary", "")
