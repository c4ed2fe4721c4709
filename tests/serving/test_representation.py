"""Encodings, ETags, conditions and ranges of what is public (RFC 9110)."""

import gzip
import os
import shutil
from collections.abc import Iterator
from functools import partial
from io import BufferedReader, BytesIO
from itertools import product
from pathlib import Path

import pytest
from flask import Response, request, send_file
from flask.testing import FlaskClient
from werkzeug.test import TestResponse
from werkzeug.wsgi import FileWrapper

from blasto.serving import cache_publicly

from tests.serving.conftest import serve, url_of

PUBLIC = {"Cache-Control": "public, max-age=60"}
DATE = "Tue, 24 Nov 2026 00:00:00 GMT"
URLS = ("/", "/tagged", "/static/text.txt", "/static/picture.png", "/sent")
ENCODINGS = ("gzip", "identity")
LATER, SOONER = DATE.replace("2026", "2027"), DATE.replace("2026", "2025")


@pytest.fixture
def client(client: FlaskClient) -> FlaskClient:
    """Return a client of public pages with validators of their own, and of a file from a view."""
    app = client.application
    for url, view in {
        "/dated": lambda: Response("text " * 50, headers={"Last-Modified": DATE}),
        "/tagged": lambda: Response("text " * 50, headers={"ETag": '"own"'}),
        "/sent": lambda: send_file(f"{app.static_folder}/picture.png"),
        "/made": lambda: send_file(BytesIO(bytes(range(200))), mimetype="audio/wav"),
    }.items():
        app.add_url_rule(url, url, cache_publicly(seconds=60)(view))
    return client


def ask(client: FlaskClient, url: str, encoding: str = "identity", **more: str) -> TestResponse:
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    return client.get(url, headers={"Accept-Encoding": encoding, **headers})


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        *((accept, "gzip") for accept in ("gzip", "GZIP", "gzip, deflate, br, zstd", "*")),
        *((accept, "gzip") for accept in ("identity;q=0.5, gzip", "br;q=1, gzip;q=0.1")),
        *((accept, None) for accept in ("", "identity", "br", "gzip;q=0", "*;q=0")),
        *((accept, None) for accept in ("gzip;q=0, *", "identity, gzip;q=0.5", "gzipped")),
        ("gzip, " + "a, " * 200, None),
    ],
)
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


@pytest.mark.parametrize(
    ("headers", "is_compressed"),
    [
        *(({"Content-Type": it}, True) for it in COMPRESSED),
        *(({"Content-Type": it}, False) for it in OTHERS),
        *(({"Cache-Control": it}, False) for it in UNCHANGED),
        ({"Content-Encoding": "br"}, False),
    ],
)
def test_public_text_is_compressed_and_everything_else_sent_as_it_is(
    headers: dict[str, str], *, is_compressed: bool
) -> None:
    response = ask(serve(lambda: ("a" * 1000, PUBLIC | headers)), "/", "gzip")

    assert (response.headers.get("Content-Encoding") == "gzip") == is_compressed
    assert (response.content_length != 1000) == is_compressed
    assert ("Vary" in response.headers) == is_compressed


def test_a_body_that_compression_would_lengthen_is_left_alone() -> None:
    assert ask(serve(lambda: ("a", PUBLIC)), "/", "gzip").data == b"a"


def test_a_stream_is_sent_as_it_comes() -> None:
    rendered = []

    def parts() -> Iterator[str]:
        for part in ("a", "b"):
            rendered.append(part)
            yield part

    with serve(lambda: (parts(), PUBLIC)).get("/", buffered=False) as response:
        assert rendered == ["a"]
        assert response.data == b"ab"
        assert "ETag" not in response.headers


def test_every_process_sends_the_same_bytes_with_the_same_etag(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tmp_path, elsewhere)
    os.utime(elsewhere / "text.txt", (1, 1))
    other = serve(static=elsewhere)

    for url, encoding in product(("/", url_of(client.application, "text.txt")), ENCODINGS):
        first = ask(client, url, encoding)
        monkeypatch.setattr("time.time", lambda: 10.0**9)
        second = ask(other, url, encoding)

        assert (second.headers["ETag"], second.data) == (first.headers["ETag"], first.data)
        assert second.headers["Cache-Control"] == first.headers["Cache-Control"]
        assert "Last-Modified" not in second.headers


def test_the_encodings_of_a_page_have_etags_of_their_own(client: FlaskClient) -> None:
    for url in ("/", "/tagged"):
        plain, gzipped = (ask(client, url, it).headers["ETag"] for it in ("identity", "gzip"))

        assert plain != gzipped
        assert (plain == '"own"') == (url == "/tagged")
        assert ask(client, url, If_None_Match=gzipped).status_code == 200


def test_a_304_has_the_headers_that_caches_need(client: FlaskClient) -> None:
    for url, encoding in product(URLS, ENCODINGS):
        whole = ask(client, url, encoding)
        for credentials in ({}, {"Cookie": "a=b"}):  # with a cookie, not from the store
            etag = whole.headers["ETag"]
            response = ask(client, url, encoding, If_None_Match=etag, **credentials)

            assert (response.status_code, response.data) == (304, b"")
            for name in ("ETag", "Cache-Control", "Vary", "Content-Security-Policy"):
                assert response.headers.get(name) == whole.headers.get(name)
            for name in ("Content-Length", "Content-Type", "Content-Encoding"):
                assert name not in response.headers


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        *(({"If-Match": it}, 200) for it in ("{}", '"x", {}', "*")),
        *(({"If-Match": it}, 412) for it in ("W/{}", '"x"', '"x", ' * 200 + "{}")),
        ({"If-Match": '"x"', "If-None-Match": "{}"}, 412),
        ({"If-Match": "{}", "If-None-Match": "{}"}, 304),
        *(({"If-None-Match": it}, 304) for it in ("{}", "W/{}", '"x", {}', "*")),
        *(({"If-None-Match": it}, 200) for it in ('"x"', '"x", ' * 200 + "{}")),
        ({"If-None-Match": '"x"', "If-Modified-Since": LATER}, 200),
    ],
)
def test_conditions_hold_for_pages_and_files_alike(
    client: FlaskClient, conditions: dict[str, str], status: int
) -> None:
    for url in URLS:
        etag = ask(client, url).headers["ETag"]
        headers = {name: value.format(etag) for name, value in conditions.items()}

        response = ask(client, url, **headers)

        assert response.status_code == status
        assert (response.headers["Cache-Control"] == "no-store") == (status == 412)
        assert bool(response.data) == (status == 200)


def test_if_match_on_a_write_accepts_the_gzip_etag() -> None:
    client = serve(
        lambda: (f"{request.if_match.contains('own')} " * 50, PUBLIC | {"ETag": '"own"'})
    )
    etag = ask(client, "/", "gzip").headers["ETag"]

    response = client.post("/", headers={"If-Match": etag})

    assert etag != '"own"'
    assert response.text.startswith("True")


def test_a_weak_etag_matches_if_none_match_alone() -> None:
    client = serve(lambda: ("a", {**PUBLIC, "ETag": 'W/"own"'}))

    assert ask(client, "/", If_None_Match='W/"own"').status_code == 304
    assert ask(client, "/", If_Match='W/"own"').status_code == 412


@pytest.mark.parametrize(
    ("url", "since", "status"),
    [
        *(("/dated", since, 304) for since in (LATER, DATE, f"{LATER}{' ' * 500}x")),
        ("/dated", SOONER, 200),
        ("/sent", LATER, 304),
        ("/", LATER, 200),
    ],
)
def test_a_date_is_compared_if_a_response_has_one(
    client: FlaskClient, url: str, since: str, status: int
) -> None:
    assert ask(client, url, If_Modified_Since=since).status_code == status


def test_head_has_the_headers_of_get(client: FlaskClient) -> None:
    for url, encoding in product(URLS, ENCODINGS):
        accept = {"Accept-Encoding": encoding}

        head, get = client.head(url, headers=accept), client.get(url, headers=accept)

        assert head.data == b""
        for response in (head, get):
            response.headers.pop("Age", None)
            response.headers.pop("Date", None)  # of a file
        assert {*head.headers} == {*get.headers}


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-3", 206, slice(0, 4)),
        ("bytes=190-", 206, slice(190, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=500-", 416, slice(0, 0)),
        *((wanted, 200, slice(None)) for wanted in ("bytes=0-1,3-4", "lines=1-2", "bytes=x")),
    ],
)
def test_a_range_of_a_file_is_sent(
    client: FlaskClient, wanted: str, status: int, part: slice
) -> None:
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


def test_a_weak_etag_of_a_file_does_for_no_condition_of_a_range() -> None:
    def view() -> Response:
        response = send_file(BytesIO(b"whole"), mimetype="image/png")
        response.set_etag("own", weak=True)
        return response

    client = serve(cache_publicly(seconds=60)(view))

    assert ask(client, "/", Range="bytes=0-1").data == b"wh"
    assert ask(client, "/", Range="bytes=0-1", If_Range='W/"own"').data == b"whole"


@pytest.mark.parametrize("said", ["public, max-age=60", "private"])
def test_a_file_of_unknown_length_is_sent_whole(said: str) -> None:
    def view() -> Response:
        response = send_file(BufferedReader(BytesIO(b"whole")), mimetype="image/png", etag="own")
        response.headers["Cache-Control"] = said
        return response

    response = ask(serve(view), "/", Range="bytes=0-3")

    assert (response.status_code, response.data) == (200, b"whole")


def test_a_range_of_a_file_that_may_be_compressed_is_the_whole(client: FlaskClient) -> None:
    response = ask(client, "/static/text.txt", Range="bytes=0-3")

    assert (response.status_code, response.data) == (200, b"text " * 100)
    assert response.headers["Accept-Ranges"] == "none"


class Buffer(FileWrapper):
    def __len__(self) -> int:  # of what it has read so far, as in waitress
        return 0


@pytest.mark.parametrize("wrapper", [Buffer, partial(Buffer)])  # uWSGI's is no class
def test_a_file_is_sent_by_the_wrapper_of_any_server(client: FlaskClient, wrapper: object) -> None:
    environ = {"wsgi.file_wrapper": wrapper}

    for url in ("/static/picture.png", "/"):
        response = client.get(url, environ_overrides=environ)

        assert response.status_code == 200
        assert response.data


def test_a_view_of_private_files_has_flasks_own_conditions(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("text")
    client = serve(lambda: send_file(tmp_path / "text.txt"))
    whole = ask(client, "/")

    part = ask(client, "/", Range="bytes=1-2")
    again = ask(client, "/", If_None_Match=whole.headers["ETag"])

    assert (part.status_code, part.data) == (206, b"ex")
    assert again.status_code == 304
    for response in (whole, part, again):
        assert response.headers["Cache-Control"] == "no-cache"
