"""HTTP on the wire: what is malformed or too large is refused, what is forged changes nothing."""

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from time import sleep

import pytest

from tests.processes import PLATFORM, Answer, Process, free_port, procfile

pytestmark = pytest.mark.server

ROUTER = ("X-Forwarded-Proto: https", "X-Request-Id: 01234567-89ab-cdef-0123-456789abcdef")
CLOSE = "Connection: close"


def request(line: str, *headers: str, body: str = "") -> str:
    return "\r\n".join([line, "Host: localhost", *headers, "", body])


FINE = request("GET /user/Bo HTTP/1.1", *ROUTER, CLOSE)
SMUGGLED = request("GET /user/SMUGGLED HTTP/1.1", *ROUTER, CLOSE)


def exchange(site: Process, *parts: str) -> bytes:
    """Send the parts with a pause between them, and return what comes until the server closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(ConnectionError):  # it may close before it has read everything
            for index, part in enumerate(parts):
                sleep(0.003 * index)
                connection.sendall(part.encode("latin-1"))
        with suppress(ConnectionResetError):
            while data := connection.recv(65_536):
                received += data
    return received


def only_answer(received: bytes) -> Answer:
    """Return the response: complete, announced as the last one, and with nothing behind it."""
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    answer = Answer(int(status.split()[1]), headers, body)
    assert answer.header("Content-Length") == str(len(body)), received
    assert answer.header("Connection") == "close", received
    return answer


@pytest.fixture(scope="module")
def dyno() -> Iterator[Process]:
    """The Procfile's own command, with all that the platform sets."""
    with procfile(free_port(), **PLATFORM) as process:
        process.get("/user/SERVED")
        yield process
    assert "/user/SERVED" in process.output
    assert "/user/SMUGGLED" not in process.output
    assert "Traceback" not in process.output


def test_behind_a_fine_request_the_next_is_served_wherever_they_are_split(dyno: Process) -> None:
    both = request("GET / HTTP/1.1", *ROUTER) + FINE

    for position in range(1, len(both)):
        received = exchange(dyno, both[:position], both[position:])

        assert received.count(b"HTTP/1.1 200 OK\r\n") == 2


REQUEST_LINES = {
    "no version": "GET /",
    "no target": "GET HTTP/1.1",
    "version 0.9": "GET / HTTP/0.9",
    "version 2.0": "GET / HTTP/2.0",
    "version in lower case": "GET / http/1.1",
    "version without a point": "GET / HTTP/11",
    "version without a minor": "GET / HTTP/1.",
    "version of three digits": "GET / HTTP/1.10",
    "version of another protocol": "GET / HTTPS/1.1",
    "version with a space": "GET / HTTP /1.1",
    "text behind the version": "GET / HTTP/1.1 x",
    "space behind the version": "GET / HTTP/1.1 ",
    "space before the method": " GET / HTTP/1.1",
    "two spaces before the target": "GET  / HTTP/1.1",
    "two spaces behind the target": "GET /  HTTP/1.1",
    "tabs for spaces": "GET\t/\tHTTP/1.1",
    "space in the target": "GET /a b HTTP/1.1",
    "method in lower case": "get / HTTP/1.1",
    "method with a colon": "GET: / HTTP/1.1",
    "method with a slash": "GET/ / HTTP/1.1",
    "method with NUL": "GE\0T / HTTP/1.1",
    "method of 21 letters": "ABCDEFGHIJKLMNOPQRSTU / HTTP/1.1",
    "method beyond ASCII": "G\xcbT / HTTP/1.1",
    "target with NUL": "GET /\0 HTTP/1.1",
    "target with CR": "GET /\rx HTTP/1.1",
    "target with DEL": "GET /\x7f HTTP/1.1",
    "target beyond ASCII": "GET /user/\xc3\xa9 HTTP/1.1",
    "target without a slash": "GET user/Bo HTTP/1.1",
    "target of a query alone": "GET ?name=Bo HTTP/1.1",
    "target of a fragment alone": "GET #x HTTP/1.1",
    "authority form of a GET": "GET localhost:443 HTTP/1.1",
    "authority form of a CONNECT": "CONNECT localhost:443 HTTP/1.1",
    "origin form of a CONNECT": "CONNECT / HTTP/1.1",
    "asterisk form of a GET": "GET * HTTP/1.1",
    "absolute form with a broken host": "GET http://[/user/Bo HTTP/1.1",
    "absolute form with one slash": "GET http:/user/Bo HTTP/1.1",
    "bare LF at the end": "GET / HTTP/1.1\nA: b",
    "bare CR at the end": "GET / HTTP/1.1\rA: b",
    "bare LF before": "\nGET / HTTP/1.1",
    "bare CR before": "\rGET / HTTP/1.1",
    "two empty lines before": "\r\n\r\nGET / HTTP/1.1",
    "folded header line first": "GET / HTTP/1.1\r\n A: b",
    "PROXY line before": "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1",
    "HTTP/2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n",
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
HEADER_LINES = {
    "bare LF in a header": "A: b\nC: d",
    "bare LF twice for the end": "A: b\n\nGET /user/SMUGGLED HTTP/1.1",
    "bare CR in a header": "A: b\rC: d",
    "CR CR LF": "A: b\r",
    "NUL in a value": "A: b\0c",
    "NUL in a name": "A\0: b",
    "vertical tab in a value": "A: \x0bb",
    "folded with a space": "A: b\r\n c",
    "folded with a tab": "A: b\r\n\tc",
    "space before the colon": "A : b",
    "tab before the colon": "A\t: b",
    "space in a name": "A B: c",
    "no colon": "A",
    "no name": ": b",
    "name beyond ASCII": "\xc3\xa9: b",
    "two hosts": "Host: evil.test",
    "unknown expectation": "Expect: x",
    "two lengths": "Content-Length: 0\r\nContent-Length: 5",
    "two lengths alike": "Content-Length: 5\r\nContent-Length: 5",
    "length 5,5": "Content-Length: 5,5",
    "length 5 5": "Content-Length: 5 5",
    "length +5": "Content-Length: +5",
    "length -1": "Content-Length: -1",
    "length 0x5": "Content-Length: 0x5",
    "length 5.0": "Content-Length: 5.0",
    "length 1_0": "Content-Length: 1_0",
    "length of a superscript": "Content-Length: \xb2",
    "length of 5,000 digits": f"Content-Length: {'9' * 5_000}",
    "length of none": "Content-Length:",
    "length then chunked": "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "chunked then length": "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "chunked twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "chunked twice in one": "Transfer-Encoding: chunked, chunked",
    "chunked not last": "Transfer-Encoding: chunked, gzip",
    "chunked then identity": "Transfer-Encoding: chunked, identity",
    "no chunked at all": "Transfer-Encoding: gzip",
    "identity": "Transfer-Encoding: identity",
    "coding of none": "Transfer-Encoding:",
    "unknown coding": "Transfer-Encoding: xchunked",
    "unknown coding behind": "Transfer-Encoding: chunked, x",
    "quoted coding": 'Transfer-Encoding: "chunked"',
    "coding with a parameter": "Transfer-Encoding: chunked;q=1",
    "coding behind a vertical tab": "Transfer-Encoding: \x0bchunked",
    "coding behind a wide space": "Transfer-Encoding: \xa0chunked",
    "coding before NUL": "Transfer-Encoding: chunked\0",
    "coding behind a space and colon": "Transfer-Encoding : chunked",
    "coding behind a fold": "Transfer-Encoding:\r\n chunked",
    "coding behind bare LF": "A: b\nTransfer-Encoding: chunked",
}
MALFORMED = {
    **{name: request(line) for name, line in REQUEST_LINES.items()},
    **{name: request("GET / HTTP/1.1", line) for name, line in HEADER_LINES.items()},
    "chunked in HTTP/1.0": request("POST / HTTP/1.0", "Transfer-Encoding: chunked"),
}
# Short, and refused by what the end of a line or of the head looks like.
SPLIT = (
    "no version",
    "bare LF at the end",
    "bare CR at the end",
    "bare CR before",
    "bare LF in a header",
    "CR CR LF",
    "folded with a space",
    "space before the colon",
    "two lengths",
    "length then chunked",
)


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_refused_and_nothing_behind_it_served(
    dyno: Process, malformed: str
) -> None:
    answer = only_answer(exchange(dyno, malformed + SMUGGLED))

    assert answer.status in range(400, 500) or answer.status == 501


@pytest.mark.parametrize("name", SPLIT)
def test_a_malformed_request_is_refused_wherever_it_is_split(dyno: Process, name: str) -> None:
    malformed = MALFORMED[name]

    for position in range(1, len(malformed)):
        answer = only_answer(exchange(dyno, malformed[:position], malformed[position:] + SMUGGLED))

        assert answer.status == 400


# What gunicorn lets pass and RFC 9112 (3.2) wants refused; what follows may still be served.
IMPROPER = {
    "no host": ("Host: localhost\r\n", ""),
    **{
        f"host {host!r}": ("localhost", host)
        for host in ("", "a b", "a/b", "a?b", "a@b", "a:x", "a:1:2", "[::1")
    },
    "HTTP/1.0 and a host with a space": ("1.1\r\nHost: localhost", "1.0\r\nHost: a b"),
    "fragment": ("/user/Bo", "/user/Bo#x"),
    "empty fragment": ("/user/Bo", "/user/Bo#"),
    "neither path nor absolute form": ("/user/Bo", "user/Bo?x=://"),
    "absolute form without a host": ("/user/Bo", "http:///user/Bo"),
}


@pytest.mark.parametrize(("proper", "improper"), IMPROPER.values(), ids=IMPROPER)
def test_a_request_without_a_proper_host_and_target_is_bad(
    dyno: Process, proper: str, improper: str
) -> None:
    answer = only_answer(exchange(dyno, FINE.replace(proper, improper)))

    assert answer.status == 400


# Legal, if odd (RFC 9112: 2.2, 3.2.2, 6.3, 7.1; RFC 9110: 5.5).
ODD = {
    "empty line before": ("GET", "\r\nGET"),
    "HTTP/1.0": ("HTTP/1.1", "HTTP/1.0"),
    "absolute form": ("/user/Bo", "http://localhost/user/Bo"),
    "absolute form in https": ("/user/Bo", "https://localhost/user/Bo"),
    "absolute form with another host": ("/user/Bo", "http://evil.test/user/Bo"),
    "no space behind the colon": ("Host: ", "Host:"),
    "tabs around a value": ("Host: localhost", "Host:\tlocalhost\t"),
    "value beyond ASCII": ("\r\n\r\n", "\r\nA: \xff\r\n\r\n"),
    "length with an underscore": ("\r\n\r\n", "\r\nContent_Length: 5\r\n\r\n"),
    "coding with an underscore": ("\r\n\r\n", "\r\nTransfer_Encoding: chunked\r\n\r\n"),
    "zeros before a length": ("\r\n\r\n", "\r\nContent-Length: 003\r\n\r\nabc"),
    "chunks in all their glory": (
        "\r\n\r\n",
        '\r\ntransfer-encoding: CHUNKED\r\n\r\n3 ; a=b; c="d"\r\nabc\r\n00\r\nE: f\r\n\r\n',
    ),
}


@pytest.mark.parametrize(("usual", "odd"), ODD.values(), ids=ODD)
def test_a_legal_oddity_is_answered_like_a_usual_request(
    dyno: Process, usual: str, odd: str
) -> None:
    answer = only_answer(exchange(dyno, FINE.replace(usual, odd)))

    assert answer.status == 200
    assert answer.body == only_answer(exchange(dyno, FINE)).body


def test_http_1_0_needs_no_host(dyno: Process) -> None:
    hostless = FINE.replace("1.1\r\nHost: localhost\r\n", "1.0\r\n")

    answer = only_answer(exchange(dyno, hostless))

    assert "Host" not in hostless
    assert answer.status == 200


CHUNKED = "Transfer-Encoding: chunked"
BODIES = {
    "longer than its length": ("Content-Length: 3", "abcde"),
    "like a request": (f"Content-Length: {len(SMUGGLED)}", SMUGGLED),
    "of endless length": ("Content-Length: 18446744073709551617", ""),
    **{
        name: (CHUNKED, chunks)
        for name, chunks in {
            "chunk size of none": "\r\nabc\r\n0\r\n\r\n",
            "chunk size 0x3": "0x3\r\nabc\r\n0\r\n\r\n",
            "chunk size +3": "+3\r\nabc\r\n0\r\n\r\n",
            "chunk size -3": "-3\r\nabc\r\n0\r\n\r\n",
            "chunk size 0_3": "0_3\r\nabc\r\n0\r\n\r\n",
            "chunk size x": "x\r\nabc\r\n0\r\n\r\n",
            "chunk size beyond 64 bits": "10000000000000003\r\nabc\r\n0\r\n\r\n",
            "space before a chunk size": " 3\r\nabc\r\n0\r\n\r\n",
            "space behind a chunk size": "3 \r\nabc\r\n0\r\n\r\n",
            "bare LF behind a chunk size": "3\nabc\r\n0\r\n\r\n",
            "bare LF behind a chunk": "3\r\nabc\n0\r\n\r\n",
            "bare LF behind the last chunk": "0\n\r\n",
            "bare LF for the end": "0\r\n\n",
            "bare LF everywhere": "3\nabc\n0\n\n",
            "nothing behind a chunk": "3\r\nabc0\r\n\r\n",
            "something behind a chunk": "3\r\nabcde0\r\n\r\n",
            "chunk longer than its size": "3\r\nabcd\r\n0\r\n\r\n",
            "no last chunk": "3\r\nabc\r\n",
            "no end behind the last chunk": "0\r\n",
            "chunk extension without a name": "3;\r\nabc\r\n0\r\n\r\n",
            "chunk extension without a semicolon": "3 a\r\nabc\r\n0\r\n\r\n",
            "chunk extension with bare LF": "3;a\nb\r\nabc\r\n0\r\n\r\n",
            "chunk extension with bare CR": "3;a\rb\r\nabc\r\n0\r\n\r\n",
            "chunk extension with NUL": "3;a\0\r\nabc\r\n0\r\n\r\n",
            "chunk extension that hides a request": "0;\nGET /user/SMUGGLED HTTP/1.1\r\n\r\n",
            "trailer with bare LF": "0\r\nA: b\n\r\n\r\n",
            "trailer without a colon": "0\r\nA\r\n\r\n",
            "trailer that is folded": "0\r\nA: b\r\n c\r\n\r\n",
            "trailer with a length": "0\r\nContent-Length: 5\r\n\r\n",
            "trailer with a coding": "0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "trailer with a host": "0\r\nHost: evil.test\r\n\r\n",
        }.items()
    },
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("header", "body"), BODIES.values(), ids=BODIES)
def test_a_request_with_a_doubtful_body_is_the_last_on_its_connection(
    dyno: Process, method: str, header: str, body: str
) -> None:
    sent = request(f"{method} / HTTP/1.1", *ROUTER, header, body=body)

    answer = only_answer(exchange(dyno, sent + SMUGGLED))

    assert answer.status in {400, 200 if method == "GET" else 405}


def request_line(size: int) -> str:
    return request("GET /?".ljust(size - 9, "a") + " HTTP/1.1", *ROUTER, CLOSE)


def header_line(size: int) -> str:
    return request("GET / HTTP/1.1", *ROUTER, CLOSE, "Cookie: a=".ljust(size, "a"))


def header_lines(count: int) -> str:
    return request("GET / HTTP/1.1", *ROUTER, CLOSE, *["A: b"] * (count - 4))


LARGE = {
    "request line of 8,000 bytes": request_line(8_000),
    "request line of 8,190 bytes": request_line(8_190),
    "cookies of 8,000 bytes": header_line(8_000),
    "cookies of 8,188 bytes": header_line(8_188),
    "a hundred headers": header_lines(100),
}
TOO_LARGE = {
    "request line of 8,191 bytes": (request_line(8_191), 414),
    "request line of a megabyte": (request_line(1_000_000), 414),
    "header of 8,189 bytes": (header_line(8_189), 431),
    "header of a megabyte": (header_line(1_000_000), 431),
    "101 headers": (header_lines(101), 431),
    "100,000 headers": (header_lines(100_000), 431),
    "body of a megabyte": (
        request("POST / HTTP/1.1", *ROUTER, CLOSE, "Content-Length: 1000000", body="a" * 1_000_000),
        405,
    ),
}


@pytest.mark.parametrize("large", LARGE.values(), ids=LARGE)
def test_a_large_request_is_answered(dyno: Process, large: str) -> None:
    assert only_answer(exchange(dyno, large)).status == 200


@pytest.mark.parametrize(("too_large", "status"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_request_that_is_too_large_is_refused_and_the_next_served(
    dyno: Process, too_large: str, status: int
) -> None:
    assert only_answer(exchange(dyno, too_large)).status == status
    assert only_answer(exchange(dyno, FINE)).status == 200


PAGES = (
    ("GET / HTTP/1.1", *ROUTER),
    ("GET /user/Bo HTTP/1.1", *ROUTER),
    ("GET /user/Bo/ HTTP/1.1", *ROUTER),
    ("GET /user HTTP/1.1", *ROUTER),
    ("GET /nothing HTTP/1.1", *ROUTER),
    ("POST / HTTP/1.1", *ROUTER),
    ("GET /user/Bo HTTP/1.1", "X-Forwarded-Proto: http", ROUTER[1]),
)
FORGED = (
    "Forwarded: for=192.0.2.1;host=evil.test;proto=http",
    "X-Forwarded: for=192.0.2.1;host=evil.test;proto=http",
    "X-Forwarded-By: evil.test",
    "X-Forwarded-For: 192.0.2.1, evil.test",
    "X-Forwarded-Host: evil.test",
    "X-Forwarded-Path: /evil",
    "X-Forwarded-Port: 81",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-Protocol: http",
    "X-Forwarded-Protocol: ssl",
    "X-Forwarded-Scheme: http",
    "X-Forwarded-Server: evil.test",
    "X-Forwarded-Ssl: off",
    "X-Forwarded-Ssl: on",
    "X_FORWARDED_HOST: evil.test",
    "X_FORWARDED_PREFIX: /evil",
    "X_FORWARDED_PROTO: http",
    "X-Forwarded_Proto: http",
    "X_Request_Id: 00000000-0000-0000-0000-000000000000",
    "Front-End-Https: off",
    "HTTPS: off",
    "X-Scheme: http",
    "X-Url-Scheme: http",
    "wsgi.url_scheme: http",
    "X-Host: evil.test",
    "X-HTTP-Host-Override: evil.test",
    "X-Original-Host: evil.test",
    "HTTP_HOST: evil.test",
    "SERVER_NAME: evil.test",
    "SERVER_PORT: 81",
    "X-Original-URL: /user/evil",
    "X-Original-URI: /user/evil",
    "X-Rewrite-URL: /user/evil",
    "X-Accel-Redirect: /user/evil",
    "PATH_INFO: /user/evil",
    "PATH-INFO: /user/evil",
    "RAW_URI: /user/evil",
    "REQUEST_URI: /user/evil",
    "QUERY_STRING: name=evil",
    "SCRIPT_NAME: /user",
    "SCRIPT_NAME: //evil.test",
    "SCRIPT-NAME: /user",
    "X-Script-Name: /user",
    "X-HTTP-Method: PUT",
    "X-HTTP-Method-Override: PUT",
    "X-Method-Override: PUT",
    "REQUEST_METHOD: PUT",
    "True-Client-IP: 192.0.2.1",
    "X-Client-IP: 192.0.2.1",
    "X-Real-IP: 192.0.2.1",
    "REMOTE_ADDR: 192.0.2.1",
    "REMOTE_USER: evil",
    "Content_Length: 5",
    "Transfer_Encoding: chunked",
    "Proxy: http://evil.test",
)


@pytest.fixture(scope="module")
def plain(dyno: Process) -> list[bytes]:
    """The pages as they are without a forged header."""
    answers = pages(dyno)
    assert [only_answer(answer).status for answer in answers] == [200, 200, 301, 400, 404, 405, 301]
    return answers


def pages(dyno: Process, *headers: str) -> list[bytes]:
    answers = (exchange(dyno, request(*page, *headers, CLOSE)) for page in PAGES)
    return [re.sub(rb"(?m)^(Date|Age): .*\r\n", b"", answer) for answer in answers]


@pytest.mark.parametrize("header", FORGED)
def test_a_forged_header_changes_nothing(dyno: Process, plain: list[bytes], header: str) -> None:
    assert pages(dyno, header) == plain
