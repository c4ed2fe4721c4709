"""What a request passes first: its size, proxy, host and scheme."""

from typing import Any, NoReturn

import pytest
from click import ClickException
from flask import Flask, Response
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.serving.conftest import make_app

TRUSTED = "a.test, .B.test"
NO_HOSTS = ["a_b.test", "a:", "a b", "a/b", "a..b", ".a", ".", "", "a@b", "[::1", "é"]
NO_HOSTS += ["x" * 64, "x." * 200, "a\\b", "a?b", "a:80:80", "%61"]


def status_of(response: TestResponse) -> int:
    """Return the status of a response that the gate itself sends."""
    assert response.mimetype == "text/plain"
    assert response.content_length == len(response.data)
    assert response.headers["Cache-Control"] == "no-store"
    assert "Content-Security-Policy" in response.headers
    return response.status_code


@pytest.mark.parametrize(
    ("trusted", "host"),
    [
        *((None, host) for host in NO_HOSTS),
        *((TRUSTED, host) for host in (*NO_HOSTS, "evil.test", "a.test.evil.test", "x.a.test")),
    ],
)
def test_an_invalid_or_untrusted_host_is_rejected(trusted: str | None, host: str) -> None:
    client = make_app(HTTPS_ONLY=True, TRUSTED_HOSTS=trusted).test_client()

    for proto in ("http", "https"):
        response = client.get("/address", headers={"Host": host, "X-Forwarded-Proto": proto})

        assert status_of(response) == 400
        assert response.location is None


@pytest.mark.parametrize(
    ("trusted", "host"),
    [
        *((None, host) for host in ("a.test", "a.test.", "127.0.0.1", "[::1]:8000", None)),
        *((TRUSTED, host) for host in ("A.test", "a.test:81", "b.test", "c.b.test")),
    ],
)
def test_any_other_host_is_served(trusted: str | None, host: str | None) -> None:
    client = make_app(TRUSTED_HOSTS=trusted).test_client()

    response = client.get("/address", environ_overrides={"HTTP_HOST": host})

    assert response.text.endswith(f" http://{host or 'localhost'}/address".lower())


HOSTS = ["https://a.test", "*", "", ".", "a,,b", "a/", "my_site.test", [], [1], 1]
POLICIES = ["img-src *", ["a"], {"img-src": "a; script-src *"}, {"A": "b"}]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("TRUSTED_HOSTS", value) for value in HOSTS),
        *(("HTTPS_ONLY", value) for value in ("False", "no", "1", 2, None)),
        *(("CONTENT_SECURITY_POLICY", value) for value in POLICIES),
        *(("FORWARDED_ALLOW_IPS", value) for value in ("10.0.0.0/99", "localhost")),
    ],
)
def test_an_invalid_setting_is_an_error_with_its_name_and_value(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: Any
) -> None:
    if setting == "FORWARDED_ALLOW_IPS":
        monkeypatch.setenv(setting, str(value))

    with pytest.raises(ClickException, match=rf"^(FLASK_)?{setting} must be ") as raised:
        make_app(**{setting: value})
    assert str(value) in raised.value.message


@pytest.mark.parametrize(
    ("config", "scheme", "proto", "redirects"),
    [
        ({"HTTPS_ONLY": 1}, "http", "http", True),
        ({"HTTPS_ONLY": True}, "http", None, False),
        ({"HTTPS_ONLY": True}, "http", "https", False),
        ({"HTTPS_ONLY": True}, "https", "http", False),  # the connection itself is secure
        ({"HTTPS_ONLY": 0}, "http", "http", False),
        ({}, "http", "http", False),
    ],
)
@pytest.mark.parametrize(
    "target",
    [{"RAW_URI": None}, {"REQUEST_URI": None}, {"RAW_URI": "http://evil.test/address?a=b"}],
)
def test_plain_http_in_front_of_a_proxy_is_redirected(
    config: dict[str, Any], scheme: str, proto: str | None, target: Any, *, redirects: bool
) -> None:
    proxy = {"X-Forwarded-For": "192.0.2.7", **({"X-Forwarded-Proto": proto} if proto else {})}

    response = (
        make_app(**config)
        .test_client()
        .get(
            "/address?a=b",
            base_url=f"{scheme}://site.test:80",
            headers=proxy,
            environ_overrides=target,  # of other servers, of gunicorn, and of an odd client
        )
    )

    is_secure = "https" in {scheme, proto}
    if redirects:
        assert status_of(response) == 308
        assert response.location == "https://site.test/address?a=b"
    else:
        assert response.text.startswith(f"192.0.2.7 {'https' if is_secure else 'http'}://")
    assert ("Strict-Transport-Security" in response.headers) == is_secure


PEERS = {
    None: ("127.0.0.1", "::ffff:127.0.0.1", "::1", ""),  # none on a Unix socket
    "10.9.9.9/8, ": ("10.1.2.3", "::ffff:10.1.2.3", ""),
    "::ffff:10.0.0.0/104": ("::ffff:10.1.2.3",),
    "fd00::/8, 192.0.2.1": ("fd00::1", "192.0.2.1"),
    "*": ("203.0.113.9", "2001:db8::1"),
}


@pytest.mark.parametrize("setting", PEERS)
def test_a_trusted_proxy_is_believed_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch, setting: str | None
) -> None:
    if setting:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", setting)
    client = make_app().test_client()
    headers = {
        "X-Forwarded-For": "192.0.2.66, 192.0.2.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.test",
        "X-Forwarded-Prefix": "/evil",
    }

    def ask(address: str) -> str:
        environ = {"REMOTE_ADDR": address}
        return client.get("/address", headers=headers, environ_overrides=environ).text

    for address in PEERS[setting]:
        assert ask(address) == "192.0.2.7 https://localhost/address"
    if setting != "*":
        assert ask("::ffff:198.51.100.1") == "198.51.100.1 http://localhost/address"
        assert ask("unknown") == "unknown http://localhost/address"


@pytest.mark.parametrize("name", ["Accept-Encoding", "X-Forwarded-Proto", "Cookie", "Content-Type"])
def test_a_header_of_many_lines_is_rejected(client: FlaskClient, name: str) -> None:
    assert status_of(client.get("/", headers={name: "a" * 8191})) == 431
    assert client.get("/", headers={name: "a" * 8190}).status_code == 200
    assert client.get("/?" + "a" * 8191).status_code == 200  # which a server limits


def test_a_health_check_succeeds_whatever_the_host_and_scheme() -> None:
    client = make_app(HTTPS_ONLY=True, TRUSTED_HOSTS="a.test").test_client()
    headers = {"Host": "10.0.0.1", "X-Forwarded-Proto": "http"}

    assert status_of(client.get("/up", headers=headers)) == 200
    head = client.head("/up", headers=headers)
    assert (head.status_code, head.data) == (200, b"")


def test_what_fails_after_the_error_pages_is_plain_text_but_for_a_developer(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    @app.teardown_request
    def fail(_error: object) -> None:
        raise ValueError("a secret")

    for mode in ("testing", "debug"):
        setattr(app, mode, True)
        with pytest.raises(ValueError, match="secret"):
            app.test_client().get("/private")
        setattr(app, mode, False)
    caplog.clear()

    response = app.test_client().get("/private")

    assert status_of(response) == 500
    assert "secret" not in response.text
    assert "a secret" in caplog.text
    request_id = response.text.split()[-1]
    assert len(request_id) >= 20
    assert request_id in caplog.text


def test_the_end_of_a_websocket_reaches_the_server(app: Flask) -> None:
    class Ended(Response):
        def __call__(self, *_: object) -> NoReturn:
            raise StopIteration

    app.add_url_rule("/socket", "socket", Ended)

    with pytest.raises(StopIteration):
        app.test_client().get("/socket")
