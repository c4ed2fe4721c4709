"""Encodings, ETags, conditions and ranges of what is public (RFC 9110)."""

import gzip
import os
from pathlib import Path

import pytest
from flask import Flask, send_file
from flask.testing import FlaskClient
from werkzeug.wsgi import FileWrapper

from blasto.serving import cache_publicly

from tests.serving.conftest import make_app, url_of

PUBLIC = {"Cache-Control": "public, max-age=60"}


@pytest.fixture(params=["/", "/static/text.txt", "versioned", "/static/picture.png", "/sent"])
def url(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> str:
    """The URL of a page, of files that are compressed and sent as they are read, of a view's."""
    sent = cache_publicly(seconds=60)(lambda: send_file(tmp_path / "picture.png"))
    app.add_url_rule("/sent", "sent", sent)
    return url_of(app, "text.txt") if request.param == "versioned" else request.param


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
def test_gzip_is_used_if_it_is_accepted(
    client: FlaskClient, accept: str, encoding: str | None
) -> None:
    for _ in range(2):  # the second time, from the store
        response = client.get("/", headers={"Accept-Encoding": accept})

        body = gzip.decompress(response.data) if encoding else response.data
        assert response.headers.get("Content-Encoding") == encoding
        assert response.headers["Vary"] == "Accept-Encoding"
        assert response.content_length == len(response.data)
        assert body == b"public " * 100


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "br"},
        {"Content-Type": "image/png"},
        {"Content-Type": "application/pdf"},
        {"Cache-Control": "public, max-age=60, no-transform"},
        {"Cache-Control": "private, max-age=60"},
    ],
)
def test_what_is_encoded_or_private_or_no_text_is_sent_as_it_is(
    app: Flask, headers: dict[str, str]
) -> None:
    app.add_url_rule("/as-is", "as-is", lambda: ("a" * 1000, {**PUBLIC, **headers}))

    response = app.test_client().get("/as-is", headers={"Accept-Encoding": "gzip"})

    assert response.content_length == 1000
    assert response.headers.get("Content-Encoding") == headers.get("Content-Encoding")


def test_a_stream_is_sent_as_it_comes(app: Flask) -> None:
    app.add_url_rule("/streamed", "streamed", lambda: (iter(["a", "b"]), PUBLIC))

    response = app.test_client().get("/streamed", headers={"Accept-Encoding": "gzip"})

    assert response.data == b"ab"
    assert "ETag" not in response.headers


def test_a_body_that_compression_would_lengthen_is_left_alone(app: Flask) -> None:
    app.add_url_rule("/tiny", "tiny", lambda: ("a", PUBLIC))

    response = app.test_client().get("/tiny", headers={"Accept-Encoding": "gzip"})

    assert response.data == b"a"


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_every_process_sends_the_same_bytes_and_etag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    (tmp_path / "text.txt").write_text("text " * 100)

    def ask(url: str) -> tuple[str, bytes]:
        response = make_app(tmp_path).test_client().get(url, headers={"Accept-Encoding": encoding})
        return response.headers["ETag"], response.data

    for url in ("/", "/static/text.txt"):
        now = ask(url)
        monkeypatch.setattr("time.time", lambda: 10.0**9)

        assert ask(url) == now


def test_the_encodings_of_a_page_have_etags_of_their_own(app: Flask) -> None:
    tagged = {**PUBLIC, "ETag": '"mine"'}
    app.add_url_rule("/tagged", "tagged", lambda: ("text " * 50, tagged))
    client = app.test_client()

    for url in ("/", "/tagged"):
        plain, gzipped = (
            client.get(url, headers={"Accept-Encoding": it}).headers["ETag"] for it in ("", "gzip")
        )
        assert plain != gzipped
        assert (plain == '"mine"') == (url == "/tagged")
        assert client.get(url, headers={"If-None-Match": gzipped}).status_code == 200


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', "*"])
def test_a_matching_etag_gets_a_304(  # noqa: PLR0913
    app: Flask, url: str, form: str, encoding: str, method: str, *, stored: bool
) -> None:
    accept = {"Accept-Encoding": encoding}
    etag = app.test_client().get(url, headers=accept).headers["ETag"]
    if not stored:
        clear(app)

    response = app.test_client().open(
        url, method=method, headers={**accept, "If-None-Match": form.format(etag)}
    )

    assert response.status_code == 304
    assert response.headers["ETag"] == etag
    assert "max-age" in response.headers["Cache-Control"]
    assert "Content-Security-Policy" in response.headers
    assert "Content-Length" not in response.headers
    assert "Content-Encoding" not in response.headers
    assert response.data == b""


def clear(app: Flask) -> None:
    """Empty the store, as a write to each URL does."""
    for url in ("/", "/static/text.txt"):
        app.test_client().options(url)


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
        ({"If-None-Match": '"x"'}, 200),
        ({"If-None-Match": '"x"', "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 200),
        ({"If-None-Match": '"x", ' * 200}, 200),
    ],
)
def test_conditions_hold_for_pages_and_files_alike(
    client: FlaskClient, url: str, conditions: dict[str, str], status: int
) -> None:
    etag = client.get(url).headers["ETag"]
    headers = {name: value.format(etag) for name, value in conditions.items()}

    response = client.get(url, headers=headers)

    assert response.status_code == status
    assert (response.headers["Cache-Control"] == "no-store") == (status == 412)
    assert bool(response.data) == (status == 200)


def test_a_date_is_compared_if_a_page_has_one(app: Flask) -> None:
    date = {"Last-Modified": "Tue, 24 Nov 2026 00:00:00 GMT"}
    app.add_url_rule("/dated", "dated", cache_publicly(seconds=60)(lambda: ("a", date)))
    client = app.test_client()

    for since, status in {"2025": 200, "2027": 304}.items():
        sent = {"If-Modified-Since": f"Tue, 24 Nov {since} 00:00:00 GMT"}
        assert client.get("/dated", headers=sent).status_code == status


def test_head_has_the_headers_of_get(client: FlaskClient, url: str) -> None:
    for encoding in ("gzip", "identity"):
        first = client.head(url, headers={"Accept-Encoding": encoding})
        get = client.get(url, headers={"Accept-Encoding": encoding})

        assert first.data == b""
        assert sorted(first.headers) == sorted(
            header for header in get.headers if header != ("Age", "0")
        )


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
@pytest.mark.parametrize("url", ["/static/picture.png", "/sent"], indirect=True)
def test_a_range_of_a_file_is_sent(
    client: FlaskClient, url: str, wanted: str, status: int, part: slice
) -> None:
    whole = client.get(url)

    response = client.get(url, headers={"Range": wanted})

    assert response.status_code == status
    assert response.data == whole.data[part]
    assert response.headers["Accept-Ranges"] == "bytes"
    assert ("Content-Range" in response.headers) == (status in {206, 416})
    assert (response.headers["Cache-Control"] == "no-store") == (status == 416)
    for validator, matches in ((whole.headers["ETag"], True), ('"x"', False)):
        conditional = client.get(url, headers={"Range": wanted, "If-Range": validator})
        assert conditional.status_code == (status if matches else 200)


def test_a_file_is_sent_by_the_wrapper_of_any_server(client: FlaskClient) -> None:
    class Buffer(FileWrapper):
        def __len__(self) -> int:  # of what it has read so far, as in waitress
            return 0

    environ = {"wsgi.file_wrapper": Buffer}

    assert client.get("/static/picture.png", environ_overrides=environ).data


def test_a_range_of_what_is_compressed_is_the_whole(client: FlaskClient) -> None:
    response = client.get("/", headers={"Range": "bytes=0-3", "Accept-Encoding": "gzip"})

    assert response.status_code == 200
    assert gzip.decompress(response.data) == b"public " * 100


def test_a_view_of_private_files_has_flasks_own_conditions(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(os.urandom(100))
    app.add_url_rule("/secret", "secret", lambda: send_file(tmp_path / "secret", "text/plain"))
    client = app.test_client()
    whole = client.get("/secret")

    part = client.get("/secret", headers={"Range": "bytes=0-9"})
    again = client.get("/secret", headers={"If-None-Match": whole.headers["ETag"]})

    assert (part.status_code, part.data) == (206, whole.data[:10])
    assert again.status_code == 304
    for response in (whole, part, again):
        assert response.headers["Cache-Control"] == "no-cache"
