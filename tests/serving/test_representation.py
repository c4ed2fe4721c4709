"""Encodings, ETags, conditions and ranges of what is public (RFC 9110)."""

import gzip
import os
import shutil
from io import BytesIO
from itertools import product
from pathlib import Path

import pytest
from flask import Response, request, send_file
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from blasto.serving import cache_publicly

from tests.serving.conftest import Patch, serve, url_of

PUBLIC = {"Cache-Control": "public, max-age=60"}
DATE = "Tue, 24 Nov 2026 00:00:00 GMT"
URLS = ("/", "/tagged", "/static/text.txt", "/static/picture.png", "/sent")
ENCODINGS = ("gzip", "identity")
LATER, SOONER = DATE.replace("2026", "2027"), DATE.replace("2026", "2025")
SINCE = "If-Modified-Since"


@pytest.fixture
def client(client: FlaskClient) -> FlaskClient:
    """Return a client of public pages with validators of their own, and of a file from a view."""
    app = client.application
    for url, view in {
        "/dated": lambda: Response("text " * 50, headers={"Last-Modified": DATE}),
        "/tagged": lambda: Response(f"{request.if_match} " * 50, headers={"ETag": '"own"'}),
        "/weak": lambda: Response("text", headers={"ETag": 'W/"own"'}),
        "/sent": lambda: send_file(f"{app.static_folder}/picture.png"),
        "/made": lambda: send_file(BytesIO(bytes(range(200))), mimetype="audio/wav"),
    }.items():
        app.add_url_rule(url, url, cache_publicly(seconds=60)(view), methods=["GET", "POST"])
    return client


def ask(client: FlaskClient, url: str, encoding: str = "identity", **more: str) -> TestResponse:
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    return client.get(url, headers={"Accept-Encoding": encoding, **headers})


ACCEPT = [
    *((accept, "gzip") for accept in ("gzip", "GZIP", "gzip, deflate, br, zstd", "*")),
    *((accept, "gzip") for accept in ("identity;q=0.5, gzip", "br;q=1, gzip;q=0.1")),
    *((accept, None) for accept in ("", "identity", "br", "gzip;q=0", "*;q=0")),
    *((accept, None) for accept in ("gzip;q=0, *", "identity, gzip;q=0.5", "gzipped")),
    ("gzip, " + "a, " * 200, None),
]


@pytest.mark.parametrize(("accept", "encoding"), ACCEPT)
def test_gzip_is_used_if_it_is_accepted(accept: str, encoding: str | None) -> None:
    client = serve()

    for _ in range(2):  # the second time, from the store
        response = ask(client, "/", accept, Range="bytes=0-3")  # the whole: it may be compressed

        body = gzip.decompress(response.data) if encoding else response.data
        assert response.headers.get("Content-Encoding") == encoding
        assert response.headers["Vary"] == "Accept-Encoding"
        assert response.content_length == len(response.data)
        assert body == b"public " * 100


COMPRESSED = (
    *("text/plain", "text/css", "image/svg+xml", "font/ttf", "font/otf", "application/json"),
    *("application/javascript", "application/wasm", "application/xml", "application/a.b-c+xml"),
    *("application/ld+json", "application/manifest+json; charset=utf-8"),
)
OTHERS = ("image/png", "application/pdf", "application/zip", "font/woff2", "video/mp4", "a/text/")
UNCHANGED = ("public, max-age=60, No-Transform", "private, max-age=60", "max-age=60")


RESPONSES = [
    *(({"Content-Type": it}, True) for it in COMPRESSED),
    *(({"Content-Type": it}, False) for it in OTHERS),
    *(({"Cache-Control": it}, False) for it in UNCHANGED),
    ({"Content-Encoding": "br"}, False),
]


@pytest.mark.parametrize(("headers", "is_compressed"), RESPONSES)
def test_only_public_text_is_compressed(headers: dict[str, str], *, is_compressed: bool) -> None:
    response = ask(serve(lambda: ("a" * 1000, PUBLIC | headers)), "/", "gzip")

    assert (response.headers.get("Content-Encoding") == "gzip") == is_compressed
    assert (response.content_length != 1000) == is_compressed
    assert ("Vary" in response.headers) == is_compressed


def test_a_body_that_compression_would_lengthen_is_left_alone() -> None:
    assert ask(serve(lambda: ("a", PUBLIC)), "/", "gzip").data == b"a"


def test_every_process_sends_the_same_bytes_with_the_same_etag(
    client: FlaskClient, monkeypatch: Patch, tmp_path: Path
) -> None:
    elsewhere = shutil.copytree(tmp_path, tmp_path / "elsewhere")
    os.utime(elsewhere / "text.txt", (1, 1))
    other = serve(static=elsewhere)

    for url, encoding in product(("/", url_of(client.application, "text.txt")), ENCODINGS):
        first = ask(client, url, encoding)
        monkeypatch.setattr("time.time", lambda: 10.0**9)
        second = ask(other, url, encoding)

        assert second.data == first.data
        for name in ("ETag", "Cache-Control", "Last-Modified"):
            assert second.headers.get(name) == first.headers.get(name)


def test_the_encodings_of_a_page_have_etags_of_their_own(client: FlaskClient) -> None:
    for url in ("/", "/tagged"):
        plain, gzipped = (ask(client, url, it).headers["ETag"] for it in ("identity", "gzip"))

        assert (plain == '"own"') == (url == "/tagged")
        assert ask(client, url, If_None_Match=gzipped).status_code == 200


KEPT = ("Cache-Control", "ETag", "Vary", "Content-Security-Policy")
DROPPED = ("Content-Length", "Content-Type", "Content-Encoding")


CONDITIONS = [
    *(({"If-Match": it}, 200) for it in ("{}", '"x", {}', "*")),
    *(({"If-Match": it}, 412) for it in ("W/{}", '"x"', '"x", ' * 200 + "{}")),
    ({"If-Match": '"x"', "If-None-Match": "{}"}, 412),
    ({"If-Match": "{}", "If-None-Match": "{}"}, 304),
    *(({"If-None-Match": it}, 304) for it in ("{}", "W/{}", '"x", {}', "*")),
    *(({"If-None-Match": it}, 200) for it in ('"x"', '"x", ' * 200 + "{}")),
    ({"If-None-Match": '"x"', "If-Modified-Since": LATER}, 200),
    ({"If-None-Match": "", "If-Modified-Since": LATER}, 200),
]


@pytest.mark.parametrize(("conditions", "status"), CONDITIONS)
def test_pages_and_files_are_revalidated_alike(
    client: FlaskClient, conditions: dict[str, str], status: int
) -> None:
    for url, encoding, cookie in product(URLS, ENCODINGS, ("", "a=b")):
        whole = ask(client, url, encoding).headers
        headers = {name: value.format(whole["ETag"]) for name, value in conditions.items()}

        response = ask(client, url, encoding, **headers, Cookie=cookie)

        assert response.status_code == status
        assert bool(response.data) == (status == 200)
        assert (response.headers["Cache-Control"] == "no-store") == (status == 412)
        if status == 304:
            assert [response.headers.get(name) for name in KEPT] == [*map(whole.get, KEPT)]
            assert not {*DROPPED} & {*response.headers.keys()}


def test_if_match_on_a_write_accepts_the_gzip_etag(client: FlaskClient) -> None:
    etag = ask(client, "/tagged", "gzip").headers["ETag"]

    response = client.post("/tagged", headers={"If-Match": etag})

    assert etag != '"own"'
    assert response.text.startswith('"own"')


def test_weak_etags_and_dates_are_compared_as_each_header_requires(client: FlaskClient) -> None:
    for url, condition, value, status in (
        ("/weak", "If-None-Match", 'W/"own"', 304),
        ("/weak", "If-Match", 'W/"own"', 412),
        *(("/dated", SINCE, date, 304) for date in (LATER, DATE, f"{LATER}{' ' * 500}x")),
        ("/dated", SINCE, SOONER, 200),
        ("/sent", SINCE, LATER, 304),
        ("/", SINCE, LATER, 200),
    ):
        assert client.get(url, headers={condition: value}).status_code == status


def test_stored_and_head_responses_have_the_headers_of_the_first_get(client: FlaskClient) -> None:
    for url, encoding in product(URLS, ENCODINGS):
        accept = {"Accept-Encoding": encoding}

        first, second, head = (
            client.open(url, method=method, headers=accept) for method in ("GET", "GET", "HEAD")
        )

        assert (second.data, head.data) == (first.data, b"")
        assert ("Age" in head.headers) == ("Age" in second.headers)  # from the store
        for response in (first, second, head):
            response.headers.pop("Age", None)
            response.headers.pop("Date", None)  # of a file
        assert [*first.headers] == [*second.headers] == [*head.headers]


RANGES = [
    ("bytes=0-3", 206, slice(0, 4)),
    ("bytes=190-", 206, slice(190, None)),
    ("bytes=-5", 206, slice(-5, None)),
    ("bytes=500-", 416, slice(0, 0)),
    *((wanted, 200, slice(None)) for wanted in ("bytes=0-1,3-4", "lines=1-2", "bytes=x")),
]


@pytest.mark.parametrize(("wanted", "status", "part"), RANGES)
def test_a_file_has_ranges(client: FlaskClient, wanted: str, status: int, part: slice) -> None:
    for url in ("/static/picture.png", "/sent", "/made"):
        etag = ask(client, url).headers["ETag"]

        response = ask(client, url, Range=wanted)

        assert response.status_code == status
        assert response.data == bytes(range(200))[part]
        assert response.content_length == len(response.data)
        assert response.headers["Accept-Ranges"] == "bytes"
        assert ("/200" in response.headers.get("Content-Range", "")) == (status in {206, 416})
        assert (response.headers["Cache-Control"] == "no-store") == (status == 416)
        for validator, expected in ((etag, status), ('"x"', 200), (f"W/{etag}", 200), (LATER, 200)):
            assert ask(client, url, Range=wanted, If_Range=validator).status_code == expected
        assert ask(client, url, Range=wanted, If_None_Match="*").status_code == 304
        assert client.head(url, headers={"Range": wanted}).status_code == 200  # as 14.2 says


def test_a_file_is_whole_if_its_length_is_unknown_or_if_range_has_its_weak_etag() -> None:
    def view() -> Response:
        response = send_file(BytesIO(b"whole"), mimetype="image/png")
        response.set_etag("own", weak=True)
        if "unknown" in request.args:
            del response.content_length
        return response

    client = serve(cache_publicly(seconds=60)(view))

    assert ask(client, "/", Range="bytes=0-1").data == b"wh"
    assert ask(client, "/", Range="bytes=0-1", If_Range='W/"own"').data == b"whole"
    assert ask(client, "/?unknown", Range="bytes=0-1").data == b"whole"


def test_a_range_of_a_file_that_may_be_compressed_is_the_whole(client: FlaskClient) -> None:
    response = ask(client, "/static/text.txt", Range="bytes=0-3")

    assert response.data == b"text " * 100
    assert response.headers["Accept-Ranges"] == "none"


def test_a_file_is_sent_without_the_servers_file_wrapper(client: FlaskClient) -> None:
    for url in ("/static/picture.png", "/sent"):  # gunicorn's would read all that is before a range
        response = client.get(url, environ_overrides={"wsgi.file_wrapper": lambda *_: 1 / 0})

        assert response.data == bytes(range(200))


def test_a_view_of_private_files_has_flasks_own_conditions() -> None:
    client = serve(lambda: send_file(__file__))

    whole = ask(client, "/")
    part = ask(client, "/", Range="bytes=3-11")
    again = ask(client, "/", If_None_Match=whole.headers["ETag"])

    assert (part.data, again.data) == (b"Encodings", b"")
    for response, status in ((whole, 200), (part, 206), (again, 304)):
        assert response.status_code == status
        assert response.headers["Cache-Control"] == "no-cache"
