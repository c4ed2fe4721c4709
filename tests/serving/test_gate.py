"""What each request passes first, and the security headers of each response."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn

import pytest
from click import ClickException
from flask import Request, Response, current_app, request
from flask.testing import FlaskClient
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import TestResponse, create_environ

from tests.serving.conftest import Patch, View, address, public, serve

TRUSTED = "a.test, .B.test"


def status_of(response: TestResponse) -> int:
    """Return the status of a response that the gate itself sends."""
    assert response.mimetype == "text/plain"
    assert response.content_length == len(response.data)
    assert response.headers["Cache-Control"] == "no-store"
    assert "Content-Security-Policy" in response.headers
    return response.status_code


HOSTS = [
    *((None, host, False) for host in ("a_b.test", "a:", "a b", "a/b", "a..b", ".a", ".", "")),
    *((None, host, False) for host in ("a@b", "[::1", "é", "x" * 64, "x." * 200, "a\\b")),
    *((None, host, False) for host in ("a?b", "a:80:80", "%61", None)),
    *((None, host, True) for host in ("a.test", "a.test.", "127.0.0.1", "[::1]:8000")),
    *((TRUSTED, host, False) for host in ("evil.test", "a.test.evil.test", "x.a.test")),
    *((TRUSTED, host, True) for host in ("A.test", "a.test:81", "b.test", "c.b.test")),
    (["a.test"], "a.test", True),
]


@pytest.mark.parametrize(("trusted", "host", "is_served"), HOSTS)
def test_only_a_valid_and_trusted_host_is_served(
    trusted: Any, host: str | None, *, is_served: bool
) -> None:
    client = serve(HTTPS_ONLY=True, TRUSTED_HOSTS=trusted)

    plain, secure = (
        client.get("/", headers={"X-Forwarded-Proto": it}, environ_overrides={"HTTP_HOST": host})
        for it in ("http", "https")
    )

    if is_served:
        assert (plain.status_code, secure.status_code) == (308, 200)
    else:
        assert (status_of(plain), status_of(secure)) == (400, 400)
        assert plain.location is None


def test_http_1_0_needs_no_host() -> None:
    environ = {"HTTP_HOST": None, "SERVER_PROTOCOL": "HTTP/1.0"}

    assert serve(address).get("/", environ_overrides=environ).text.endswith(" http://localhost/")


OF_FLASK: dict[str, Any] = {
    "MAX_CONTENT_LENGTH": ("16MB",),
    "MAX_FORM_MEMORY_SIZE": ("1MB",),
    "MAX_FORM_PARTS": ("many",),
    "PERMANENT_SESSION_LIFETIME": ("1d", None),
    "SECRET_KEY": (123,),
    "SEND_FILE_MAX_AGE_DEFAULT": ("1h",),
}
INVALID: dict[str, Any] = {
    "TRUSTED_HOSTS": ("https://a.test", "*", "", ".", "a,,b", "a/", "my_site.test", [], [1], 1),
    "HTTPS_ONLY": ("False", "no", "1", 2, None),
    "CONTENT_SECURITY_POLICY": ("img-src *", ["a"], {"img-src": "a; script-src *"}, {"A": "b"}),
    "FORWARDED_ALLOW_IPS": ("10.0.0.0/99", "localhost", "10.*"),
    **OF_FLASK,
}


@pytest.mark.parametrize("setting", INVALID)
def test_an_invalid_setting_is_named_with_its_value(monkeypatch: Patch, setting: str) -> None:
    is_shown = setting not in OF_FLASK
    for value in INVALID[setting]:
        if setting == "FORWARDED_ALLOW_IPS":
            monkeypatch.setenv(setting, value)

        with pytest.raises(ClickException, match=rf"^(FLASK_)?{setting} must be ") as raised:
            serve(**{setting: value})
        assert (str(value) in raised.value.message) == is_shown


def test_plain_http_in_front_of_a_proxy_is_redirected() -> None:
    client, plain = serve(HTTPS_ONLY=1), {"HTTP_X_FORWARDED_PROTO": "http"}
    for raw, path in (
        ({"RAW_URI": None}, "/a%2Fb?c"),  # of other servers than gunicorn
        ({"REQUEST_URI": None}, "/a%2Fb?c"),
        ({"RAW_URI": None, "REQUEST_URI": None}, "/a/b?c"),
        ({"RAW_URI": "HTTP://evil.test/b?c"}, "/b?c"),
    ):
        environ: dict[str, Any] = {**plain, **raw}

        response = client.get("/a%2Fb?c", "http://site.test:80", environ_overrides=environ)

        assert status_of(response) == 308
        assert response.location == f"https://site.test{path}"
        assert "Strict-Transport-Security" not in response.headers


def test_a_site_may_have_a_proxy_fix_of_its_own_around_all() -> None:
    client = serve(address, HTTPS_ONLY=1)
    app = client.application
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=2)

    def ask(proto: str) -> TestResponse:
        forwarded = {"X-Forwarded-For": "192.0.2.7, 192.0.2.9", "X-Forwarded-Proto": proto}
        return client.get("/", headers=forwarded)

    assert ask("https").text == "192.0.2.7 https://localhost/"
    assert ask("http").status_code == 308


def test_a_request_that_needs_no_redirect_is_served() -> None:
    secure, off, unset = serve(address, HTTPS_ONLY=1), serve(address, HTTPS_ONLY=0), serve(address)
    for client, scheme, proto, seen in (
        (secure, "http", None, "http"),
        (secure, "http", "https", "https"),
        (secure, "https", "http", "https"),  # the connection itself is secure
        (off, "http", "http", "http"),
        (unset, "http", "http", "http"),
    ):
        environ = {"HTTP_X_FORWARDED_PROTO": proto}

        response = client.get("/", f"{scheme}://a.test", environ_overrides=environ)

        assert response.text == f"127.0.0.1 {seen}://a.test/"
        assert ("Strict-Transport-Security" in response.headers) == (seen == "https")


PEERS = {
    None: ("127.0.0.1", "::ffff:127.0.0.1", "::1", ""),  # none on a Unix socket
    "10.9.9.9/8, ": ("10.1.2.3", "::ffff:10.1.2.3", ""),
    "::ffff:10.0.0.0/104": ("::ffff:10.1.2.3",),
    "fd00::/8, 192.0.2.1": ("fd00::1", "192.0.2.1"),
    "*": ("203.0.113.9", "2001:db8::1"),
}


@pytest.mark.parametrize("setting", PEERS)
def test_only_trusted_proxies_set_address_and_scheme(monkeypatch: Patch, setting: Any) -> None:
    if setting:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", setting)
    client = serve(address)
    headers = {"X-Forwarded-For": '", 192.0.2.66,192.0.2.7 ', "X-Forwarded-Proto": "https"}
    headers |= {"X-Forwarded-Host": "evil.test", "X-Forwarded-Prefix": "/evil"}

    def ask(peer: str) -> str:
        return client.get("/", headers=headers, environ_overrides={"REMOTE_ADDR": peer}).text

    for peer in PEERS[setting]:
        assert ask(peer) == "192.0.2.7 https://localhost/"
    if setting != "*":
        assert ask("::ffff:198.51.100.1") == "198.51.100.1 http://localhost/"
        assert ask("unknown") == "unknown http://localhost/"


def test_the_visitor_is_the_last_that_is_no_named_proxy(monkeypatch: Patch) -> None:
    for trusted, forwarded, seen in (
        ("127.0.0.1,10.0.0.0/8", "192.0.2.66, 192.0.2.7, 10.0.0.1", "192.0.2.7"),
        ("127.0.0.1,10.0.0.0/8", "192.0.2.7:5000,10.0.0.1:80", "192.0.2.7"),
        ("127.0.0.1,10.0.0.0/8", "10.0.0.2, 10.0.0.1", "10.0.0.2"),
        ("127.0.0.1,10.0.0.0/8", 'x"y, 10.0.0.1', "10.0.0.1"),
        ("*", "192.0.2.66, [2001:db8::1]:443", "2001:db8::1"),
    ):
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
        response = serve(address).get("/", headers={"X-Forwarded-For": forwarded})

        assert response.text.split()[0] == seen


@pytest.mark.parametrize("name", ["Accept-Encoding", "X-Forwarded-Proto", "Cookie", "Content-Type"])
def test_a_header_of_many_lines_is_rejected(client: FlaskClient, name: str) -> None:
    assert status_of(client.get("/", headers={name: "a" * 8191})) == 431
    assert client.get("/", headers={name: "a" * 8190}).status_code == 200
    assert client.get("/?" + "a" * 8191).status_code == 200  # which a server limits


def test_a_form_and_json_are_limited_and_whole() -> None:
    client = serve(lambda: str(len(request.form or request.get_data())))

    def post(size: int, length: int | None, kind: str) -> int:
        environ = create_environ(method="POST", data=bytes(size), content_type=kind)
        environ |= {"wsgi.input_terminated": True, "CONTENT_LENGTH": str(length)}
        if length is None:
            del environ["CONTENT_LENGTH"]
        return client.open(Request(environ)).status_code

    form = "application/x-www-form-urlencoded"
    assert post(3, 30, form) == 400  # its client has gone midway
    for size, kind, status in (
        (500_000, form, 200),
        (500_001, form, 413),
        (500_001, "application/json", 413),
        (500_001, "application/octet-stream", 200),
    ):
        assert post(size, size, kind) == post(size, None, kind) == status


PART = "--b\r\nContent-Disposition: form-data{}\r\n\r\ntext\r\n--b--\r\n"


def test_a_form_without_names_and_json_that_is_nested_too_deeply_are_malformed() -> None:
    client = serve(lambda: str(request.get_json(silent=True) if request.is_json else request.form))

    for kind, body in (
        ("multipart/form-data; boundary=b", PART.format("")),
        ("multipart/form-data; boundary=b", PART.format('; filename="a.txt"')),
        ("application/json", "[" * 200_000),
    ):
        assert client.post("/", data=body, content_type=kind).status_code == 400


def test_credentials_that_are_not_ascii_are_none() -> None:
    client = serve(lambda: repr(request.authorization))

    assert client.get("/", headers={"Authorization": "Basic é"}).text == "None"


def test_a_request_class_of_the_site_is_kept() -> None:
    own = type("Own", (Request,), {})

    client = serve(before=lambda app: setattr(app, "request_class", own))

    assert client.application.request_class is own


def test_a_health_check_succeeds_whatever_the_host_and_scheme() -> None:
    client = serve(HTTPS_ONLY=True, TRUSTED_HOSTS="a.test")
    headers = {"Host": "10.0.0.1", "X-Forwarded-Proto": "http"}

    for method in ("GET", "OPTIONS"):
        assert status_of(client.open("/up", method=method, headers=headers)) == 200
    head = client.head("/up", headers=headers)
    assert (head.status_code, head.data) == (200, b"")
    assert status_of(client.post("/up", headers=headers)) == 400


def fail(*_: object) -> Iterator[str]:
    raise ValueError("a secret")
    yield ""


def failing_stream() -> Response:
    response = Response(fail())
    response.call_on_close(partial(current_app.logger.info, "the stream has ended"))
    return response


LATE_ERRORS = {
    "teardown": (public, lambda error: next(fail(error))),
    "stream": (failing_stream, lambda _: None),
    "header": (lambda: ("", {"A": "a secret \u2713"}), lambda _: None),  # which servers refuse
}


@pytest.mark.parametrize(("view", "teardown"), LATE_ERRORS.values(), ids=LATE_ERRORS)
def test_an_error_after_the_error_pages_is_plain_text_unless_debugging(
    caplog: pytest.LogCaptureFixture, view: View, teardown: Callable[..., None]
) -> None:
    caplog.set_level("INFO")
    client = serve(view)
    app = client.application
    app.teardown_request(teardown)

    response = client.get("/")

    assert status_of(response) == 500
    assert "secret" not in response.text
    assert "ValueError" in caplog.text
    assert caplog.text.count("the stream has ended") == (view is failing_stream)
    (request_id,) = re.findall("request_id=([0-9a-f]{32})", caplog.text)
    assert request_id in response.text
    for testing, debug in ((True, False), (False, True)):
        app.testing, app.debug = testing, debug
        with pytest.raises(ValueError):
            client.get("/")


def test_the_end_of_a_websocket_reaches_the_server() -> None:
    class Ended(Response):
        def __call__(self, *_: object) -> NoReturn:
            raise StopIteration

    with pytest.raises(StopIteration):
        serve(Ended).get("/")


POLICY = (
    "default-src 'none'; connect-src 'self'; font-src 'self'; form-action 'self'; "
    "frame-src 'self'; img-src 'self'; manifest-src 'self'; media-src 'self'; "
    "script-src 'self'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",  # over HTTPS
    "X-Content-Type-Options": "nosniff",
}


def test_every_response_has_the_security_headers_once(client: FlaskClient) -> None:
    for url, status in {"/": 200, "/static/picture.png": 200, "/up": 200, "/nothing": 404}.items():
        response = client.get(url, "https://localhost")

        assert response.status_code == status
        for name, value in HEADERS.items():
            assert response.headers.getlist(name) == [value]
        assert "Set-Cookie" not in response.headers


def test_a_site_adds_sources_to_the_policy() -> None:
    images = ["https://a.test:443/*", "data:"]
    added = {"img-src": images, "base-uri": "'self'", "worker-src": ("blob:", "data:")}

    response = serve(CONTENT_SECURITY_POLICY=added).get("/")

    policy = POLICY.replace("img-src 'self'", "img-src 'self' https://a.test:443/* data:")
    policy = policy.replace("base-uri 'none'", "base-uri 'self'") + "; worker-src blob: data:"
    assert response.headers["Content-Security-Policy"] == policy


def test_a_view_replaces_a_security_header_with_its_own() -> None:
    own = {"Content-Security-Policy": "sandbox", "strict-transport-security": "max-age=1"}

    response = serve(lambda: ("", own)).get("/", "https://localhost")

    for name, value in own.items():
        assert response.headers.getlist(name) == [value]
