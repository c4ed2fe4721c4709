"""What a request passes first: its size, proxy, host and scheme."""

from typing import NoReturn

import pytest
from click import ClickException
from flask import Flask, Response
from flask.testing import FlaskClient

from tests.serving.conftest import make_app

NO_HOSTS = ["a_b.test", "a:", "a b", "a/b", "a..b", ".a", ".", "", "a@b", "[::1", "é"]
NO_HOSTS += ["x" * 64, "x." * 200, "a\\b", "a?b", "a:80:80", "%61"]


@pytest.mark.parametrize("host", NO_HOSTS)
@pytest.mark.parametrize("trusted", [None, ["a.test"]])
def test_a_host_that_is_none_is_rejected(host: str, trusted: list[str] | None) -> None:
    client = make_app(HTTPS_ONLY=True, TRUSTED_HOSTS=trusted).test_client()

    for proto in ("http", "https"):
        response = client.get("/address", headers={"Host": host, "X-Forwarded-Proto": proto})

        assert response.status_code == 400
        assert response.mimetype == "text/plain"
        assert response.headers["Cache-Control"] == "no-store"
        assert "Content-Security-Policy" in response.headers
        assert response.location is None


@pytest.mark.parametrize("host", ["a.test", "A.test:8000", "a.test.", "127.0.0.1", "[::1]:8000"])
def test_any_other_host_is_served(client: FlaskClient, host: str) -> None:
    response = client.get("/address", headers={"Host": host})

    assert response.text.endswith(f" http://{host}/address".lower())


def test_only_a_trusted_host_is_served() -> None:
    client = make_app(TRUSTED_HOSTS="a.test, .B.test").test_client()
    hosts = ["A.test", "a.test:81", "b.test", "c.b.test", "evil.test", "a.test.evil.test"]

    statuses = [client.get("/", base_url=f"http://{host}").status_code for host in hosts]

    assert statuses == [200, 200, 200, 200, 400, 400]


@pytest.mark.parametrize(
    "value", ["https://a.test", "*", "", "a,,b", "a/", "my_site.test", [], [1], 1]
)
def test_a_host_that_can_never_match_is_an_error(value: object) -> None:
    with pytest.raises(ClickException, match=r"^FLASK_TRUSTED_HOSTS must be host names"):
        make_app(TRUSTED_HOSTS=value)


@pytest.mark.parametrize("value", ["False", "no", "1", 2, None])
def test_https_only_must_be_true_or_false(value: object) -> None:
    with pytest.raises(ClickException, match=r"^FLASK_HTTPS_ONLY must be 1 or 0"):
        make_app(HTTPS_ONLY=value)


@pytest.mark.parametrize(
    ("setting", "scheme", "proto", "redirects"),
    [
        (1, "http", "http", True),
        (True, "http", None, False),
        (True, "http", "https", False),
        (True, "https", "http", False),  # the connection itself is secure
        (0, "http", "http", False),
    ],
)
def test_plain_http_in_front_of_a_proxy_is_redirected(
    setting: object, scheme: str, proto: str | None, *, redirects: bool
) -> None:
    client = make_app(HTTPS_ONLY=setting).test_client()
    headers = {"X-Forwarded-Proto": proto} if proto else {}

    response = client.post(
        "/private?a=b",
        base_url=f"{scheme}://site.test",
        headers=headers,
        environ_overrides={"RAW_URI": None},  # which is gunicorn's
    )

    assert response.status_code == (308 if redirects else 200)
    assert response.location == ("https://site.test/private?a=b" if redirects else None)
    assert ("Strict-Transport-Security" in response.headers) == ("https" in {scheme, proto})


PEERS = {
    "127.0.0.1,::1": ("127.0.0.1", "::ffff:127.0.0.1", "::1"),
    "10.0.0.0/8": ("10.1.2.3", "::ffff:10.1.2.3"),
    "fd00::/8, 192.0.2.1": ("fd00::1", "192.0.2.1"),
    "*": ("203.0.113.9", "2001:db8::1"),
}


@pytest.mark.parametrize("setting", PEERS)
def test_a_trusted_proxy_is_believed_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
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


def test_invalid_proxies_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.0/99")

    with pytest.raises(ClickException, match=r"^FORWARDED_ALLOW_IPS must be"):
        make_app()


@pytest.mark.parametrize("name", ["Accept-Encoding", "X-Forwarded-Proto", "Cookie", "Content-Type"])
def test_a_header_of_many_lines_is_rejected(client: FlaskClient, name: str) -> None:
    response = client.get("/", headers={name: "a," * 5000})

    assert response.status_code == 431
    assert "Content-Security-Policy" in response.headers


def test_a_health_check_succeeds_whatever_the_host_and_scheme() -> None:
    client = make_app(HTTPS_ONLY=True, TRUSTED_HOSTS="a.test").test_client()

    for method in ("GET", "HEAD"):
        headers = {"Host": "10.0.0.1", "X-Forwarded-Proto": "http"}
        response = client.open("/up", method=method, headers=headers)

        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "no-store"


def test_what_fails_after_the_error_pages_is_plain_text_but_for_a_developer(app: Flask) -> None:
    @app.teardown_request
    def fail(_error: object) -> None:
        raise ValueError("a secret")

    app.testing = True
    with pytest.raises(ValueError, match="secret"):
        app.test_client().get("/private")
    app.testing = False

    response = app.test_client().get("/private")

    assert response.status_code == 500
    assert response.mimetype == "text/plain"
    assert "secret" not in response.text
    assert "Content-Security-Policy" in response.headers


def test_the_end_of_a_websocket_reaches_the_server(app: Flask) -> None:
    class Ended(Response):
        def __call__(self, *_: object) -> NoReturn:
            raise StopIteration

    app.add_url_rule("/socket", "socket", Ended)
    app.testing = False

    with pytest.raises(StopIteration):
        app.test_client().get("/socket")
