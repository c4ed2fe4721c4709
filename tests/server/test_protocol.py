"""Requests on the wire: what is malformed is rejected, what is spoofed has no effect."""

import re
import select
import shlex
from contextlib import closing, suppress
from http.client import HTTPConnection
from itertools import product
from pathlib import Path
from time import sleep

import pytest

from tests.processes import PACKAGE, SPECIMEN, Server, read_all, until
from tests.server.test_survival import GET, HTTPS, INDEX, POST, READ

pytestmark = pytest.mark.server

REQUEST = re.compile(r"(time=\S+ )?method=")
REQUEST_ID = "01234567-89ab-cdef-0123-456789abcdef"
SMUGGLED = GET.format("/smuggled") + "\r\n"


@pytest.fixture(params=["dyno", "threads"])
def server(request: pytest.FixtureRequest) -> Server:
    """The specimen application, with either kind of worker."""
    return request.getfixturevalue(request.param)


def exchange(server: Server, text: str) -> bytes:
    """Send a text and return what comes until the server closes the connection."""
    with server.connect(text) as connection:
        return read_all(connection)


CHUNKED = f"{READ}Transfer-Encoding: chunked\r\n\r\n"
# What gunicorn rejects (its faster parser, gunicorn_h1c, accepts some), or our settings do.
MALFORMED = {
    "bare line feed": ("GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "two spaces": ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no chunks": (f"{CHUNKED}x\r\n", 400),
    "long trailers": (f"{CHUNKED}0\r\n" + f"A: {'b' * 5_000}\r\n" * 20 + "\r\n", 400),
    "long target": (f"GET /{'a' * 9000} HTTP/1.1\r\nHost: a\r\n\r\n", 414),
}


@pytest.mark.parametrize(("text", "status"), MALFORMED.values(), ids=MALFORMED)
def test_nothing_behind_a_bad_request_is_served(server: Server, text: str, status: int) -> None:
    before = len(server.lines)

    received = exchange(server, text + SMUGGLED)

    assert re.findall(rb"^HTTP/1.1 (\d+)", received, re.MULTILINE) == [str(status).encode()]
    assert not re.search(r"/smuggled|Traceback|127\.0\.0\.1", "\n".join(server.lines[before:]))


def test_bodies_of_every_kind_follow_each_other_on_one_open_connection(server: Server) -> None:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        for path in ("/", "/message", "/file", "/shared/conftest.py", "/large", "/no", "/message"):
            lengths = []
            for method in ("HEAD", "GET"):
                connection.request(method, path, headers=HTTPS)
                response = connection.getresponse()
                lengths.append(int(response.headers["Content-Length"]))
                body = response.read()

            assert {*lengths} == {len(body)}
            line = f'path="{path}" status={response.status} bytes={len(body)} '
            until(lambda: line in server.output, 5)  # noqa: B023  # called at once

        sleep(2.5)  # by default, gunicorn closes it after 2 s
        connection.request("GET", "/", headers=HTTPS)
        assert connection.getresponse().status == 200


def test_an_upload_that_no_view_reads_leaves_the_next_request_alone(server: Server) -> None:
    post, close = POST.format("/upload"), "Connection: close\r\n\r\n"
    data = "x" * 5_000_000
    whole = f"{post}Content-Length: 5000000\r\n", data
    chunked = f"{post}Transfer-Encoding: chunked\r\n", f"4c4b40\r\n{data}\r\n0\r\n\r\n"
    for head, body in (whole, chunked):
        for text, statuses in (
            (f"{head}\r\n{body}{INDEX}{close}", [b"404", b"200"]),
            (f"{head}{close}{body}", [b"404"]),
        ):
            assert re.findall(rb"HTTP/1.1 (\d+)", exchange(server, text)) == statuses
    head, body = chunked
    assert exchange(server, f"{head}{close}{body[:-99]}").startswith(b"HTTP/1.1 404 ")


def test_data_after_a_stalled_body_is_no_request(tmp_path: Path) -> None:
    config = tmp_path / "gunicorn.conf.py"
    text = (PACKAGE / "serving" / "gunicorn.conf.py").read_text()
    config.write_text(f"{text}\nkeepalive = 1\n")
    command = f"gunicorn --config {config} {SPECIMEN}"
    stalled = f"{POST.format('/')}Transfer-Encoding: chunked\r\n\r\n40\r\nx"
    with Server(command) as server, server.connect(stalled) as connection:
        sleep(1.5)
        with suppress(ConnectionError):
            connection.sendall(SMUGGLED.encode())

        assert read_all(connection).count(b"HTTP/1.1") < 2


def test_an_error_before_the_headers_are_sent_is_a_500(server: Server) -> None:
    upload = POST.format("/closed") + "Content-Length: 1\r\n"

    assert exchange(server, f"{upload}Connection: close\r\n\r\nx").startswith(b"HTTP/1.1 500 ")


def test_all_headers_of_a_request_are_limited_together(dyno: Server) -> None:
    for count, is_served in ((50, True), (90, False)):
        lines = "".join(f"X-{number}: {'x' * 1000}\r\n" for number in range(count))

        received = exchange(dyno, f"{GET.format('/no')}{lines}Connection: close\r\n\r\n")

        assert received.startswith(b"HTTP/1.1 404 ") == is_served


TARGETS = [
    *("/", "/?", "/no/page?a=b", "/a/../b;c", "/%C3%A9?%2f+%20", "/a%0d%0ab"),
    *("/a%2523b", "/a%25zz", "//evil.test", "/\\evil.test", "/@evil.test"),
    f"/?name={'%E3%82%86' * 800}",  # as long a text as the form takes
]
EVIL_PATHS = ("X-Forwarded-Prefix", "X-Original-Url", "Script-Name", "SCRIPT_NAME")
SPOOFED = {
    **{"X-Forwarded-Host": "evil.test", "Forwarded": "host=evil.test"},
    **{"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Ssl": "on"},
    **dict.fromkeys(EVIL_PATHS, "/evil"),
}


def test_plain_http_in_front_of_the_router_is_redirected_to_the_same_url(server: Server) -> None:
    headers = {"Host": "site.test", "X-Forwarded-Proto": "http"}
    for target, origin, spoofed in product(TARGETS, ("", "http://evil.test"), ({}, SPOOFED)):
        plain = server.get(origin + target, "POST", headers | spoofed)

        assert (plain.status, plain.headers["Location"]) == (308, f"https://site.test{target}")


def fields_of(server: Server, target: str) -> dict[str, str]:
    """Return the fields of the one log line about a request, once it is there."""

    def logged() -> list[str]:
        return [line for line in server.lines if target in line and REQUEST.match(line)]

    until(logged, 5)
    (line,) = logged()
    # A shell's quotes are logfmt's, for what is tested here.
    return dict(field.split("=", 1) for field in shlex.split(line))


def test_a_request_is_one_line_in_the_log_and_no_client_can_forge_a_field(server: Server) -> None:
    for target, request_id in (
        ("/line/1?a=b", REQUEST_ID),
        ("/line/2%0amethod=GET%20path=/", REQUEST_ID),
        ('/line/3"status=500', REQUEST_ID),
        ('/line/4\\"status=500', REQUEST_ID),
        ("/line/5", 'a" status=500 b="'),
        ("/line/6", "a\tstatus=500"),
        ("/line/7", "\xa0\x85status=500"),
    ):
        page = server.get(target, headers={"X-Request-ID": request_id, **HTTPS})

        fields = fields_of(server, target[:7])
        assert list(fields) == ["method", "path", "status", "bytes", "duration", "request_id"]
        assert (fields["method"], fields["path"], fields["status"]) == ("GET", target, "404")
        assert fields["bytes"] == str(len(page.text))
        assert re.fullmatch(r"\d+\.\dms", fields["duration"])
        assert (fields["request_id"] == request_id) == (request_id == REQUEST_ID)
        assert page.text.endswith(f">{fields['request_id']}")


def test_every_log_line_has_an_id_and_is_shorter_than_pipe_buf(server: Server) -> None:
    rejected = "GET /rejected/{} HTTP/1.1\r\nContent-Length: x\r\nX-Request-ID: {}\r\n\r\n"

    server.get("/long?" + '"' * 8_000, headers={"X-Request-ID": "a" * 200, **HTTPS})
    server.get("/shared/conftest.py", headers={"X-Request-ID": '"' * 8_000})  # around the gate
    exchange(server, "GET / " + "\xff" * 8_000 + "\r\n\r\n")
    exchange(server, rejected.format(1, REQUEST_ID))
    exchange(server, rejected.format(2, f"\xff{'a' * 8_000}"))

    assert fields_of(server, "/long")["request_id"] == "a" * 200
    first, second = fields_of(server, "/rejected/1"), fields_of(server, "/rejected/2")
    assert (first["status"], first["request_id"]) == ("400", REQUEST_ID)
    assert re.fullmatch("[0-9a-f]{32}", second["request_id"])
    until(lambda: "Invalid HTTP Version: '" in server.output, 5)
    assert max(map(len, server.lines)) < select.PIPE_BUF


def test_a_proxy_on_the_same_host_is_trusted(site: Server) -> None:
    page = site.get("/no/proxy", headers={"X-Forwarded-For": "192.0.2.7", **HTTPS})

    fields = fields_of(site, "/no/proxy")
    assert fields["address"] == "192.0.2.7"
    assert fields["time"] > "2026"
    assert "Strict-Transport-Security" in page.headers
