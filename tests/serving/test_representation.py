"""Encodings, ETags, conditions and ranges of what is public (RFC 9110)."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask, Response, send_file
from flask.testing import FlaskClient
from werkzeug.test import TestResponse
from werkzeug.wsgi import FileWrapper

from blasto.serving import cache_publicly

from tests.serving.conftest import make_app, url_of

PUBLIC = {"Cache-Control": "public, max-age=60"}
DATE = "Tue, 24 Nov 2026 00:00:00 GMT"


def add_views(app: Flask) -> Flask:
    """Add public pages, and a file that is sent as it is read."""
    picture = Path(app.static_folder or "") / "picture.png"

    @app.get("/sent")
    @cache_publicly(seconds=60)
    def sent() -> Response:
        return send_file(picture)

    @app.get("/dated")
    @cache_publicly(seconds=60)
    def dated() -> Response:
        return Response("text " * 50, headers={"Last-Modified": DATE})

    @app.get("/tagged")
    @cache_publicly(seconds=60)
    def tagged() -> Response:
        return Response("text " * 50, headers={"ETag": '"own"'})

    return app


@pytest.fixture
def app(app: Flask) -> Flask:
    return add_views(app)


@pytest.fixture(params=["/", "/tagged", "/static/text.txt", "/static/picture.png", "/sent"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a page, of files that are compressed and sent as they are read, of a view's."""
    path: str = request.param
    return path


def ask(app: Flask, url: str, encoding: str = "identity", **headers: str) -> TestResponse:
    accept = {"Accept-Encoding": encoding}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().get(url, headers=accept | named)


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
def test_gzip_is_used_if_it_is_accepted(app: Flask, accept: str, encoding: str | None) -> None:
    for _ in range(2):  # the second time, from the store
        response = ask(app, "/", accept, Range="bytes=0-3")  # of what can be compressed, the whole

        body = gzip.decompress(response.data) if encoding else response.data
        assert response.headers.get("Content-Encoding") == encoding
        assert response.headers["Vary"] == "Accept-Encoding"
        assert response.content_length == len(response.data)
        assert body == b"public " * 100


TYPES = {
    True: (
        *("text/plain", "text/css", "image/svg+xml", "font/ttf", "font/otf", "application/json"),
        *("application/javascript", "application/wasm", "application/xml", "application/a.b-c+xml"),
        *("application/ld+json", "application/manifest+json; charset=utf-8"),
    ),
    False: (
        "image/png",
        "application/pdf",
        "application/zip",
        "font/woff2",
        "video/mp4",
        "a/text/",
    ),
}


@pytest.mark.parametrize(
    ("headers", "is_compressed"),
    [
        *(({"Content-Type": it}, whether) for whether, types in TYPES.items() for it in types),
        ({"Content-Encoding": "br"}, False),
        ({"Cache-Control": "public, max-age=60, no-transform"}, False),
        ({"Cache-Control": "private, max-age=60"}, False),
        ({"Cache-Control": "max-age=60"}, False),
    ],
)
def test_public_text_is_compressed_and_everything_else_sent_as_it_is(
    app: Flask, headers: dict[str, str], *, is_compressed: bool
) -> None:
    app.add_url_rule("/page", "page", lambda: ("a" * 1000, {**PUBLIC, **headers}))

    response = ask(app, "/page", "gzip")

    encoding = "gzip" if is_compressed else headers.get("Content-Encoding")
    assert response.headers.get("Content-Encoding") == encoding
    assert (response.content_length == 1000) != is_compressed
    assert ("Vary" in response.headers) == is_compressed


def test_a_body_that_compression_would_lengthen_is_left_alone(app: Flask) -> None:
    app.add_url_rule("/tiny", "tiny", lambda: ("a", PUBLIC))

    assert ask(app, "/tiny", "gzip").data == b"a"


def test_a_stream_is_sent_as_it_comes(app: Flask) -> None:
    rendered = []

    def parts() -> Iterator[str]:
        for part in ("a", "b"):
            rendered.append(part)
            yield part

    app.add_url_rule("/streamed", "streamed", lambda: (parts(), PUBLIC))

    with app.test_client().get("/streamed", buffered=False) as response:
        assert rendered == ["a"]
        assert response.data == b"ab"
        assert "ETag" not in response.headers


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_every_process_sends_the_same_bytes_and_etag(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str
) -> None:
    for url in ("/", "/static/text.txt"):
        first = ask(app, url, encoding)
        monkeypatch.setattr("time.time", lambda: 10.0**9)
        second = ask(make_app(tmp_path), url, encoding)

        assert (second.headers["ETag"], second.data) == (first.headers["ETag"], first.data)


def test_the_encodings_of_a_page_have_etags_of_their_own(app: Flask) -> None:
    for url in ("/", "/tagged"):
        plain, gzipped = (ask(app, url, it).headers["ETag"] for it in ("identity", "gzip"))

        assert plain != gzipped
        assert (plain == '"own"') == (url == "/tagged")
        assert ask(app, url, If_None_Match=gzipped).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', "*"])
def test_a_matching_etag_gets_a_304(
    app: Flask, tmp_path: Path, url: str, form: str, encoding: str
) -> None:
    url = url_of(app, "text.txt") if url.endswith("text.txt") else url
    whole = ask(app, url, encoding)
    headers = {"Accept-Encoding": encoding, "If-None-Match": form.format(whole.headers["ETag"])}
    without_it = add_views(make_app(tmp_path))  # in its cache

    for served, method in ((app, "GET"), (app, "HEAD"), (without_it, "GET")):
        response = served.test_client().open(url, method=method, headers=headers)

        assert response.status_code == 304
        assert response.data == b""
        for name in ("ETag", "Cache-Control", "Vary", "Content-Security-Policy"):
            assert response.headers.get(name) == whole.headers.get(name)
        for name in ("Content-Length", "Content-Type", "Content-Encoding"):
            assert name not in response.headers


def test_a_weak_etag_matches_if_none_match_alone(app: Flask) -> None:
    app.add_url_rule("/weak", "weak", lambda: ("a", {**PUBLIC, "ETag": 'W/"own"'}))

    assert ask(app, "/weak", If_None_Match='W/"own"').status_code == 304
    assert ask(app, "/weak", If_Match='W/"own"').status_code == 412


LATER, SOONER = DATE.replace("2026", "2027"), DATE.replace("2026", "2025")


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ({"If-Match": "{}"}, 200),
        ({"If-Match": '"x", {}'}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": "W/{}"}, 412),
        ({"If-Match": '"x"'}, 412),
        ({"If-Match": '"x"', "If-None-Match": "{}"}, 412),
        ({"If-Match": "{}", "If-None-Match": "{}"}, 304),
        ({"If-Match": '"x", ' * 200 + "{}"}, 412),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-None-Match": '"x"', "If-Modified-Since": LATER}, 200),
        ({"If-None-Match": '"x", ' * 200 + "{}"}, 200),
    ],
)
def test_conditions_hold_for_pages_and_files_alike(
    app: Flask, url: str, conditions: dict[str, str], status: int
) -> None:
    etag = ask(app, url).headers["ETag"]
    headers = {name: value.format(etag) for name, value in conditions.items()}

    response = ask(app, url, **headers)

    assert response.status_code == status
    assert (response.headers["Cache-Control"] == "no-store") == (status == 412)
    assert bool(response.data) == (status == 200)


@pytest.mark.parametrize(
    ("url", "since", "status"),
    [
        ("/dated", LATER, 304),
        ("/dated", DATE, 304),
        ("/dated", SOONER, 200),
        ("/dated", f"{LATER}{' ' * 500}x", 304),
        ("/", LATER, 200),
        ("/sent", LATER, 304),
    ],
)
def test_a_date_is_compared_if_a_response_has_one(
    app: Flask, url: str, since: str, status: int
) -> None:
    assert ask(app, url, If_Modified_Since=since).status_code == status


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_head_has_the_headers_of_get(client: FlaskClient, url: str, encoding: str) -> None:
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
        ("bytes=0-1,3-4", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
        ("bytes=x", 200, slice(None)),
    ],
)
@pytest.mark.parametrize("url", ["/static/picture.png", "/sent"])
def test_a_range_of_a_file_is_sent(
    app: Flask, url: str, wanted: str, status: int, part: slice
) -> None:
    whole = ask(app, url)

    response = ask(app, url, Range=wanted)

    assert response.status_code == status
    assert response.data == whole.data[part]
    assert response.content_length == len(response.data)
    assert response.headers["Accept-Ranges"] == "bytes"
    content_range = response.headers.get("Content-Range", "")
    assert content_range.endswith("/200") == (status in {206, 416})
    assert (response.headers["Cache-Control"] == "no-store") == (status == 416)
    for validator, matches in ((whole.headers["ETag"], True), ('"x"', False)):
        conditional = ask(app, url, Range=wanted, If_Range=validator)
        assert conditional.status_code == (status if matches else 200)
    assert ask(app, url, Range=wanted, If_None_Match="*").status_code == 304


@pytest.mark.parametrize("url", ["/", "/static/text.txt"], indirect=True)
def test_a_range_of_what_may_be_compressed_is_the_whole(app: Flask, url: str) -> None:
    part = ask(app, url, Range="bytes=0-3")

    assert (part.status_code, part.data) == (200, ask(app, url).data)
    assert part.headers.get("Accept-Ranges") != "bytes"


def test_a_file_is_sent_by_the_wrapper_of_any_server(client: FlaskClient) -> None:
    class Buffer(FileWrapper):
        def __len__(self) -> int:  # of what it has read so far, as in waitress
            return 0

    environ = {"wsgi.file_wrapper": Buffer}

    assert client.get("/static/picture.png", environ_overrides=environ).data


def test_a_view_of_private_files_has_flasks_own_conditions(app: Flask, tmp_path: Path) -> None:
    app.add_url_rule("/secret", "secret", lambda: send_file(tmp_path / "text.txt"))
    whole = ask(app, "/secret")

    part = ask(app, "/secret", Range="bytes=0-9")
    again = ask(app, "/secret", If_None_Match=whole.headers["ETag"])

    assert (part.status_code, part.data) == (206, whole.data[:10])
    assert again.status_code == 304
    for response in (whole, part, again):
        assert response.headers["Cache-Control"] == "no-cache"
