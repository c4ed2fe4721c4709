"""What a linter of HTTP says about the site's responses: nothing."""

import socket
from time import time

import httplint
import pytest

from tests.processes import Process

pytestmark = pytest.mark.server

GZIP = {"Accept-Encoding": "gzip"}
# What it says of every 400.
OF_NO_FAULT = {"The server didn't understand the request."}


def exchange(process: Process, method: str, target: str, headers: dict[str, str]) -> bytes:
    """Return a response as it comes over the wire."""
    lines = [f"{method} {target} HTTP/1.1", "Host: site.test", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", process.port)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return connection.makefile("rb").read()


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/", {}),
        ("GET", "/", GZIP),
        ("HEAD", "/", {}),
        ("OPTIONS", "/", {}),
        ("POST", "/", {}),
        ("GET", "/user/Bo", GZIP),
        ("GET", "/user/Bo", {"If-None-Match": "*"}),
        ("GET", "/user/Bo/", {}),
        ("GET", "/user?name=Bo", {}),
        ("GET", "/user", {}),
        ("GET", "/user/%ff", {}),
        ("GET", "/nothing", {}),
        ("GET", "/static/icon.svg", GZIP),
        ("GET", "/favicon.ico", GZIP),
        ("GET", "/robots.txt", {}),
    ],
)
def test_the_linter_has_no_warning(
    site: Process, method: str, target: str, headers: dict[str, str]
) -> None:
    for _ in range(2):  # made, and from memory
        head, _, body = exchange(site, method, target, headers).partition(b"\r\n\r\n")
        version, status, phrase = head.split(b"\r\n")[0].removeprefix(b"HTTP/").split(b" ", 2)
        lines = (line.partition(b": ") for line in head.split(b"\r\n")[1:])
        fields = [(name, value) for name, _, value in lines]
        linter = httplint.HttpResponseLinter(start_time=time(), no_content=method == "HEAD")
        linter.base_uri = f"http://site.test{target}"

        linter.process_response_topline(version, status, phrase)
        linter.process_headers(fields)
        linter.feed_content(body)
        linter.finish_content(complete=True)

        levels = (httplint.levels.WARN, httplint.levels.BAD)
        said = {str(note.summary) for note in linter.notes if note.level in levels}
        assert said <= OF_NO_FAULT
