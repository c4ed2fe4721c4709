"""Requests on the wire: what is malformed is rejected, what is spoofed has no effect."""

import re
import shlex
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection

import pytest

from tests.processes import HEROKU, Response, Server, procfile, read_all, until

pytestmark = pytest.mark.server

SPECIMEN = "tests.serving.conftest:make_app()"
REQUEST_ID = "01234567-89ab-cdef-0123-456789abcdef"
HTTPS = {"X-Forwarded-Proto": "https"}
SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\n\r\n"


@pytest.fixture(scope="module", params=["", "8"], ids=["greenlets", "threads"])
def dyno(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The specimen application, as Heroku runs it, with either kind of worker."""
    env = {**HEROKU, "WEB_THREADS": request.param} if request.param else HEROKU
    with procfile(app=SPECIMEN, **env) as server:
        yield server


def exchange(server: Server, request: str) -> bytes:
    """Send a text and return what comes until the server closes the connection."""
    with server.connect() as connection:
        with suppress(BrokenPipeError):  # it may close before it has read everything
            connection.sendall(request.encode("latin-1"))
        return read_all(connection)


# Of what gunicorn rejects, what its faster parser, gunicorn_h1c, lets through, and what is ours.
MALFORMED = {
    "bare line feed": ("GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "folded header": ("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", 400),
    "two spaces": ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "long target": (f"GET /{'a' * 9000} HTTP/1.1\r\nHost: a\r\n\r\n", 414),
}


@pytest.mark.parametrize(("malformed", "status"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_rejected_and_nothing_behind_it_served(
    dyno: Server, malformed: str, status: int
) -> None:
    received = exchange(dyno, malformed + SMUGGLED)

    assert re.findall(rb"^HTTP/1.1 (\d+)", received, re.MULTILINE) == [str(status).encode()]
    assert "/smuggled" not in dyno.output


def test_bodies_of_every_kind_follow_each_other_on_one_connection(dyno: Server) -> None:
    with closing(HTTPConnection("127.0.0.1", dyno.port, timeout=10)) as connection:
        for path in ("/", "/message", "/file", "/large", "/nothing", "/message"):
            lengths = []
            for method in ("HEAD", "GET"):
                connection.request(method, path, headers=HTTPS)
                response = connection.getresponse()
                lengths.append(int(response.headers["Content-Length"]))
                body = response.read()

            assert {*lengths} == {len(body)}


def test_all_headers_of_a_request_are_limited_together(site: Server) -> None:
    def request(path: str, lines: int) -> bytes:
        headers = "".join(f"X-{number}: {'x' * 1000}\r\n" for number in range(lines))
        return exchange(
            site, f"GET {path} HTTP/1.1\r\nHost: a\r\n{headers}Connection: close\r\n\r\n"
        )

    assert request("/no/few", 50).startswith(b"HTTP/1.1 404 ")
    assert b" 404 " not in request("/no/many", 90)


def test_a_form_field_of_any_text_fits_into_a_url(dyno: Server) -> None:
    target = f"/?name={'%E3%82%86' * 800}"

    assert dyno.get(target, headers=HTTPS).status == 200


@pytest.mark.parametrize(
    "spoofed",
    [
        {"X-Forwarded-Host": "evil.test"},
        {"X-Forwarded-Prefix": "/evil"},
        {"X-Forwarded-For": "192.0.2.1"},
        {"Script-Name": "/evil"},
        {"SCRIPT_NAME": "/evil"},
        {"X-Original-Url": "/evil"},
        {"X-HTTP-Method-Override": "DELETE"},
        {"Forwarded": "host=evil.test"},
    ],
)
def test_a_spoofed_header_has_no_effect(dyno: Server, spoofed: dict[str, str]) -> None:
    def redirect(headers: dict[str, str]) -> Response:
        return dyno.get(headers={"Host": "site.test", "X-Forwarded-Proto": "http", **headers})

    assert redirect(spoofed).header("Location") == redirect({}).header("Location")
    assert redirect({}).header("Location") == "https://site.test/"


@pytest.mark.parametrize(
    "target",
    [
        *("/", "/?", "/no/page?a=b", "/a/../b;c", "/%C3%A9?%2f+%20", "/a%0d%0ab"),
        *("/a%2523b", "/a%25zz", "//evil.test", "/\\evil.test", "/@evil.test"),
        "http://evil.test/a?b",
    ],
)
def test_plain_http_in_front_of_the_router_is_redirected_to_the_same_url(
    dyno: Server, target: str
) -> None:
    plain = dyno.get(target, "POST", {"Host": "site.test", "X-Forwarded-Proto": "http"})

    assert plain.status == 308
    path = target.removeprefix("http://evil.test")
    assert plain.header("Location") == f"https://site.test{path}"
    assert plain.header("Strict-Transport-Security") is None
    assert dyno.get(headers=HTTPS).header("Strict-Transport-Security")


def logged(server: Server, text: str) -> list[dict[str, str]]:
    """Return the fields of the log lines that hold a text, once there is one."""

    def lines() -> list[str]:
        return [line for line in server.lines if text in line and line.startswith("method=")]

    until(lines, 5)
    # A shell's quotes are logfmt's, for what is tested here.
    return [dict(field.split("=", 1) for field in shlex.split(line)) for line in lines()]


def test_a_request_is_one_line_in_the_log(dyno: Server) -> None:
    dyno.get("/no/line?a=b", headers={"X-Request-ID": REQUEST_ID, **HTTPS})

    (fields,) = logged(dyno, "/no/line")
    assert re.fullmatch(r"\d+", fields.pop("bytes"))
    assert re.fullmatch(r"\d+\.\dms", fields.pop("duration"))
    assert fields == {
        "method": "GET",
        "path": "/no/line?a=b",
        "status": "404",
        "request_id": REQUEST_ID,
    }


def test_a_rejected_request_is_logged_with_its_id(dyno: Server) -> None:
    exchange(
        dyno,
        f"GET /no/coding HTTP/1.1\r\nHost: a\r\nX-Request-Id: {REQUEST_ID}\r\n"
        "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    )

    (fields,) = logged(dyno, "/no/coding")
    assert (fields["status"], fields["request_id"]) == ("400", REQUEST_ID)


@pytest.mark.parametrize(
    ("target", "request_id"),
    [
        ("/forged/1%0amethod=GET%20path=/", REQUEST_ID),
        ('/forged/2"status=500', REQUEST_ID),
        ('/forged/3\\"status=500', REQUEST_ID),
        ("/forged/4", 'a" status=500 b="'),
        ("/forged/5", "a\tstatus=500"),
        ("/forged/6", "\xa0\x85status=500"),
    ],
)
def test_a_client_can_forge_no_line_and_no_field(
    dyno: Server, target: str, request_id: str
) -> None:
    dyno.get(target, headers={"X-Request-ID": request_id, **HTTPS})

    (fields,) = logged(dyno, target[:9])
    assert list(fields) == ["method", "path", "status", "bytes", "duration", "request_id"]
    assert fields["status"] == "404"


def test_every_line_about_a_request_has_the_id_on_its_page(dyno: Server) -> None:
    page = dyno.get("/fail?text=reason", headers=HTTPS)  # without an ID of the router

    request_id = page.text.rpartition(">")[2]
    until(lambda: dyno.output.count(f'request_id="{request_id}"') == 3, 10)
    (event,) = [it for it in dyno.lines if it.startswith("level=error") and request_id in it]
    assert page.status == 500
    assert event.startswith('level=error message="Exception on /fail [GET]"')
    assert dyno.lines.count("    ValueError: reason") == 1
    (fields,) = logged(dyno, "/fail")
    assert fields["request_id"] == request_id


def test_a_rejected_host_is_logged_with_an_id(dyno: Server) -> None:
    assert dyno.get("/no/host", headers={"Host": "a..b"}).status == 400

    (fields,) = logged(dyno, "/no/host")
    assert len(fields["request_id"]) >= 20


@pytest.mark.parametrize(
    ("setting", "address", "scheme"),
    [("127.0.0.1", "192.0.2.7", "https"), ("192.0.2.1", "127.0.0.1", "http")],
)
def test_a_proxy_on_ipv4_is_trusted_as_it_is_written(
    setting: str, address: str, scheme: str
) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7", "Host": "a.test"}
    env = {**HEROKU, "FORWARDED_ALLOW_IPS": setting, "LOG_ADDRESSES": "1"}

    with procfile(app=SPECIMEN, **env) as server:
        page = server.get("/address", headers=headers)

        assert page.text == f"{address} {scheme}://a.test/address"
        (fields,) = logged(server, "/address")
        assert fields["address"] == address
