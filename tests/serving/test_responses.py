"""Security headers, HTTPS, compression, ETags and Cache-Control, of any application."""

import gzip

import pytest
from click import ClickException
from flask import Flask, Response, abort
from flask.testing import FlaskClient

from blasto.serving.responses import HEADERS

from tests.serving.conftest import make_app


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("OPTIONS", "/", 200),
        ("GET", "/private", 200),
        ("POST", "/private", 405),
        ("GET", "/static/text.txt", 200),
        ("GET", "/static/nothing", 404),
        ("GET", "/nothing", 404),
        ("GET", "/fail?text=a", 500),
    ],
)
def test_every_response_has_the_security_headers_once(
    app: Flask, method: str, url: str, status: int
) -> None:
    response = app.test_client().open(url, method=method, buffered=True)

    assert response.status_code == status
    assert {name: response.headers.getlist(name) for name in HEADERS} == {
        name: [value] for name, value in HEADERS.items()
    }
    assert "Set-Cookie" not in response.headers


def test_the_policy_allows_files_of_the_site_and_nothing_inline() -> None:
    policy = dict(
        directive.split(" ", 1) for directive in HEADERS["Content-Security-Policy"].split("; ")
    )

    assert policy.pop("default-src") == "'none'"
    for directive in ("script-src", "style-src", "img-src", "font-src", "connect-src"):
        assert policy.pop(directive) == "'self'"
    assert policy == {
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }


def test_a_view_replaces_a_security_header_with_its_own(app: Flask) -> None:
    policy = {"content-security-policy": "default-src https://elsewhere.test"}
    app.add_url_rule("/open", "open", lambda: ("", policy))

    response = app.test_client().get("/open")

    assert response.headers.getlist("Content-Security-Policy") == list(policy.values())


def test_hsts_is_sent_over_https_only(client: FlaskClient) -> None:
    secure = client.get("/private", base_url="https://site.test")
    plain = client.get("/private")

    max_age = secure.headers["Strict-Transport-Security"].removeprefix("max-age=")
    assert int(max_age) >= 365 * 24 * 60 * 60
    assert "Strict-Transport-Security" not in plain.headers


@pytest.mark.parametrize(
    ("setting", "scheme", "forwarded", "location"),
    [
        (True, "http", "http", "https://site.test/private?a=b"),
        (True, "http", None, None),
        (True, "https", "https", None),
        (True, "https", "http", None),  # spoofed: the connection itself is secure
        (False, "http", "http", None),
    ],
)
def test_plain_http_in_front_of_the_router_is_redirected(
    setting: bool,  # noqa: FBT001
    scheme: str,
    forwarded: str | None,
    location: str | None,
) -> None:
    client = make_app(HTTPS_ONLY=setting).test_client()
    headers = {"X-Forwarded-Proto": forwarded} if forwarded else {}

    response = client.get("/private?a=b", base_url=f"{scheme}://site.test", headers=headers)

    assert response.location == location
    assert response.status_code == (301 if location else 200)
    assert response.headers["Cache-Control"] == "no-store"


def test_nothing_is_storable_unless_its_view_says_so(client: FlaskClient) -> None:
    public = client.get("/")
    private = client.get("/private", headers={"Accept-Encoding": "gzip"})

    assert public.headers["Cache-Control"] == "max-age=60, s-maxage=60"
    assert private.headers["Cache-Control"] == "no-store"
    assert "ETag" not in private.headers
    assert "Content-Encoding" not in private.headers


@pytest.mark.parametrize("status", [400, 404, 410, 412, 451, 500, 503])
def test_an_error_is_not_storable(app: Flask, status: int) -> None:
    lifetime = {"Cache-Control": "public, max-age=60"}
    app.add_url_rule("/direct", "direct", lambda: ("", status, lifetime))
    app.add_url_rule("/raised", "raised", lambda: abort(Response("", status, lifetime)))

    for url in ("/direct", "/raised"):
        assert app.test_client().get(url).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("url", ["/", "/static/text.txt", "versioned"])
def test_a_failed_precondition_is_not_storable(
    client: FlaskClient, versioned: str, url: str
) -> None:
    url = versioned if url == "versioned" else url
    client.get(url, buffered=True)
    conditions = {"If-Match": '"x"', "If-None-Match": '"y"'}

    response = client.get(url, headers=conditions, buffered=True)

    assert response.status_code == 412
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        *((accept, "gzip") for accept in ("gzip", "GZIP", "gzip, deflate, br, zstd", "*")),
        *((accept, "gzip") for accept in ("identity;q=0.5, gzip", "br;q=1, gzip;q=0.1")),
        *((accept, None) for accept in ("", "identity", "br", "gzip;q=0", "*;q=0")),
        *((accept, None) for accept in ("gzip;q=0, *", "identity, gzip;q=0.5", "gzipped")),
    ],
)
def test_gzip_is_used_if_it_is_accepted(
    client: FlaskClient, accept: str, encoding: str | None
) -> None:
    for _ in range(2):  # the second time, from the cache
        response = client.get("/", headers={"Accept-Encoding": accept})

        body = gzip.decompress(response.data) if encoding else response.data
        assert response.headers.get("Content-Encoding") == encoding
        assert response.headers["Vary"] == "Accept-Encoding"
        assert response.content_length == len(response.data)
        assert body == b"public " * 100


@pytest.mark.parametrize("url", ["/", "/static/text.txt", "versioned"])
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', "*"])
def test_a_matching_etag_gets_a_304(
    client: FlaskClient, versioned: str, url: str, encoding: str, form: str
) -> None:
    url = versioned if url == "versioned" else url
    accept = {"Accept-Encoding": encoding}
    etag = client.get(url, headers=accept, buffered=True).headers["ETag"]
    other = make_app().test_client() if url == "/" else client

    for asked in (client, other):  # with the page in the cache, and without
        response = asked.get(url, headers={**accept, "If-None-Match": form.format(etag)})

        assert response.status_code == 304
        assert response.headers["ETag"] == etag
        assert response.headers["Vary"] == "Accept-Encoding"
        assert "Content-Security-Policy" in response.headers
        assert "Content-Length" not in response.headers
        assert "Content-Encoding" not in response.headers
        assert response.data == b""


def test_the_etag_of_one_encoding_does_not_match_the_other(client: FlaskClient) -> None:
    etag = client.get("/", headers={"Accept-Encoding": "gzip"}).headers["ETag"]

    assert client.get("/", headers={"If-None-Match": etag}).status_code == 200


def test_an_encoded_or_streamed_body_is_left_alone(app: Flask) -> None:
    lifetime = {"Cache-Control": "public, max-age=60"}
    encoded = {**lifetime, "Content-Encoding": "br"}
    app.add_url_rule("/encoded", "encoded", lambda: ("a" * 1000, encoded))
    app.add_url_rule("/streamed", "streamed", lambda: (iter(["a", "b"]), lifetime))
    client = app.test_client()

    brotli = client.get("/encoded", headers={"Accept-Encoding": "gzip, br"})
    streamed = client.get("/streamed", headers={"Accept-Encoding": "gzip"})

    assert brotli.headers["Content-Encoding"] == "br"
    assert brotli.content_length == 1000
    assert streamed.data == b"ab"
    assert "ETag" not in streamed.headers


def test_a_body_that_compression_would_lengthen_is_left_alone(app: Flask) -> None:
    app.add_url_rule("/tiny", "tiny", lambda: ("a", {"Cache-Control": "public, max-age=60"}))

    response = app.test_client().get("/tiny", headers={"Accept-Encoding": "gzip"})

    assert response.data == b"a"
    assert "Content-Encoding" not in response.headers


def test_in_debug_mode_nothing_is_storable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    client = make_app().test_client()

    for _ in range(2):
        response = client.get("/")

        assert response.headers["Cache-Control"] == "no-store"
        assert "Age" not in response.headers


@pytest.mark.parametrize("value", [True, False, 1, 0])
def test_https_only_is_true_or_false(value: object) -> None:
    assert make_app(HTTPS_ONLY=value).config["HTTPS_ONLY"] == value


@pytest.mark.parametrize("value", ["False", "no", "maybe", "1", 2, None])
def test_any_other_value_of_https_only_is_an_error(value: object) -> None:
    with pytest.raises(ClickException, match=r"^FLASK_HTTPS_ONLY must be 1 or 0"):
        make_app(HTTPS_ONLY=value)


@pytest.mark.parametrize(
    ("value", "hosts"),
    [
        (None, None),
        ("a.test", ["a.test"]),
        ("A.test, .b.test", ["a.test", ".b.test"]),
        (["a.test"], ["a.test"]),
        ("127.0.0.1,[::1]", ["127.0.0.1", "[::1]"]),
    ],
)
def test_trusted_hosts_are_host_names(value: object, hosts: list[str] | None) -> None:
    assert make_app(TRUSTED_HOSTS=value).config["TRUSTED_HOSTS"] == hosts


@pytest.mark.parametrize("value", ["https://a.test", "*", "", "a,,b", "a.test:80", "a/", [], 1])
def test_any_other_value_of_trusted_hosts_is_an_error(value: object) -> None:
    with pytest.raises(ClickException, match=r"^FLASK_TRUSTED_HOSTS must be host names"):
        make_app(TRUSTED_HOSTS=value)


@pytest.mark.parametrize(("dyno", "https_only"), [("web.1", True), (None, False)])
def test_https_only_is_the_default_on_heroku(
    monkeypatch: pytest.MonkeyPatch, dyno: str | None, *, https_only: bool
) -> None:
    monkeypatch.setenv("DYNO", dyno) if dyno else monkeypatch.delenv("DYNO", raising=False)

    assert make_app().config["HTTPS_ONLY"] is https_only
