"""Who has a page gets a 304, in the encoding that was asked for; files have lasting addresses."""

import gzip
import os
import re
import shutil
from pathlib import Path

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient

from blasto.app import create_app

from tests.processes import ROOT, Process, free_port

TARGETS = ["/", "/user/Bo", "/static/icon.svg", "/favicon.ico", "/robots.txt"]
ACCEPTS_GZIP = [
    *("gzip", "GZIP", "gzip, deflate, br, zstd", "*", "br;q=1, gzip;q=0.1", "gzip;q=0.001"),
    *("identity;q=0, *", "identity;q=0, gzip;q=0.5", "gzip;q=0.5, *;q=0", "identity;q=0.5, gzip"),
]
REFUSES_GZIP = [
    *("", "identity", "br", "gzip;q=0", "*;q=0", "gzip;q=0, *", "identity, gzip;q=0.5"),
    *("gzip;q=0.000", "*, gzip;q=0", "gzipped", "identity;q=1, *;q=0"),
]


@pytest.fixture(params=["cached", "made"])
def client(request: pytest.FixtureRequest, app: Flask) -> FlaskClient:
    """Ask the site with and without its cache, which has been asked before."""
    if request.param == "made":
        app.wsgi_app = app.wsgi_app.app  # type: ignore[method-assign,attr-defined]
    client = app.test_client()
    for target in TARGETS:
        for encoding in ("gzip", "identity"):
            client.get(target, headers={"Accept-Encoding": encoding})
    return client


@pytest.mark.parametrize("accept", ACCEPTS_GZIP)
def test_who_takes_gzip_gets_it(client: FlaskClient, accept: str) -> None:
    response = client.get("/user/Bo", headers={"Accept-Encoding": accept})

    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Vary"] == "Accept-Encoding"
    assert len(response.data) == response.content_length
    assert gzip.decompress(response.data) == client.get("/user/Bo").data


@pytest.mark.parametrize("accept", REFUSES_GZIP)
def test_who_does_not_take_gzip_gets_none(client: FlaskClient, accept: str) -> None:
    response = client.get("/user/Bo", headers={"Accept-Encoding": accept})

    assert "Content-Encoding" not in response.headers
    assert response.headers["Vary"] == "Accept-Encoding"
    assert "Bo" in response.text


@pytest.mark.parametrize("target", TARGETS)
def test_an_etag_is_of_the_content_and_its_encoding(client: FlaskClient, target: str) -> None:
    plain = client.get(target)
    short = client.get(target, headers={"Accept-Encoding": "gzip"})
    elsewhere = create_app().test_client().get(target)

    assert re.fullmatch(r'"[0-9a-f]{24}"', plain.headers["ETag"])
    assert elsewhere.headers["ETag"] == plain.headers["ETag"]
    assert ("Content-Encoding" in short.headers) == (short.headers["ETag"] != plain.headers["ETag"])


def test_the_etag_of_a_file_does_not_depend_on_its_time(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "blasto" / "static", tmp_path, dirs_exist_ok=True)
    tags = set()
    for seconds in (1, 2):
        os.utime(tmp_path / "icon.svg", (seconds, seconds))
        app = create_app()
        app.static_folder = str(tmp_path)
        tags.add(app.test_client().get("/static/icon.svg").headers["ETag"])

    assert len(tags) == 1


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', 'W/"x",{} , "y"', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_a_page_gets_a_304(
    client: FlaskClient, target: str, encoding: str, form: str, method: str
) -> None:
    asked = {"Accept-Encoding": encoding}
    whole = client.get(target, headers=asked)
    known = form.format(whole.headers["ETag"])

    response = client.open(target, method=method, headers={**asked, "If-None-Match": known})

    assert response.status_code == 304
    assert response.data == b""
    for name in ("ETag", "Cache-Control", "Vary", "Content-Security-Policy"):
        assert response.headers.get(name) == whole.headers.get(name)
    for name in ("Content-Type", "Content-Length", "Content-Encoding"):
        assert name not in response.headers


@pytest.mark.parametrize("known", ['"x"', 'W/"x"', '"x", "y"', '""', "W/", ""])
def test_who_has_another_page_gets_this_one(client: FlaskClient, known: str) -> None:
    response = client.get("/", headers={"If-None-Match": known})

    assert response.status_code == 200
    assert "Blasto" in response.text


def test_who_has_the_other_encoding_gets_this_one(client: FlaskClient) -> None:
    known = client.get("/", headers={"Accept-Encoding": "gzip"}).headers["ETag"]

    assert client.get("/", headers={"If-None-Match": known}).status_code == 200


@pytest.mark.parametrize("header", ["If-Modified-Since", "If-Unmodified-Since", "Range"])
def test_dates_and_parts_do_not_matter(client: FlaskClient, header: str) -> None:
    value = "bytes=0-3" if header == "Range" else "Sat, 21 Nov 2026 00:00:00 GMT"

    for target in TARGETS:
        response = client.get(target, headers={header: value})

        assert response.status_code == 200
        assert len(response.data) == response.content_length
        assert "Last-Modified" not in response.headers
        assert "Accept-Ranges" not in response.headers


def test_a_file_is_for_good_at_the_address_of_its_content_only(
    app: Flask, client: FlaskClient
) -> None:
    with app.test_request_context():
        address = url_for("static", filename="icon.svg")

    lasting = client.get(address).headers["Cache-Control"]
    others = {
        client.get(other).headers["Cache-Control"]
        for other in ("/static/icon.svg", "/static/icon.svg?v=", f"{address}0", "/robots.txt?v=1")
    }

    assert re.fullmatch(r"/static/icon\.svg\?v=[0-9a-f]{12}", address)
    assert lasting == "max-age=31536000, s-maxage=31536000, immutable"
    assert others == {"max-age=60, s-maxage=60"}


def test_pages_link_to_files_at_their_lasting_addresses(client: FlaskClient) -> None:
    text = client.get("/").text

    addresses = re.findall(r'"(/static/[^"]*)"', text)
    assert addresses
    for address in addresses:
        assert "immutable" in client.get(address).headers["Cache-Control"]


def test_a_changed_file_has_another_address_at_once_in_debug_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    app = create_app()
    app.static_folder = str(tmp_path)
    file = tmp_path / "a.css"

    addresses = set()
    for number, text in enumerate(("a {}", "b {}")):
        file.write_text(text)
        os.utime(file, (number, number))
        with app.test_request_context():
            addresses.add(url_for("static", filename="a.css"))

    assert len(addresses) == 2


def test_a_large_file_is_sent_as_it_is_read(app: Flask, tmp_path: Path) -> None:
    app.static_folder = str(tmp_path)
    (tmp_path / "film.txt").write_bytes(b"x" * 2**21)

    response = app.test_client().get("/static/film.txt", headers={"Accept-Encoding": "gzip"})

    assert response.content_length == 2**21
    assert "Content-Encoding" not in response.headers
    assert "ETag" not in response.headers
    response.close()


@pytest.mark.parametrize("target", ["/nothing", "/user", "/static/nothing"])
def test_nobody_keeps_an_error(client: FlaskClient, target: str) -> None:
    response = client.get(target)

    assert response.status_code in {400, 404}
    assert response.headers["Cache-Control"] == "no-store"


def test_a_page_that_says_nothing_about_itself_is_kept_by_nobody(app: Flask) -> None:
    app.add_url_rule("/new", view_func=lambda: "new")

    assert app.test_client().get("/new").headers["Cache-Control"] == "no-store"


def test_what_is_encoded_already_is_left_alone(app: Flask) -> None:
    page = "a" * 1000, {"Content-Encoding": "br"}
    app.add_url_rule("/encoded", view_func=lambda: page)

    response = app.test_client().get("/encoded", headers={"Accept-Encoding": "gzip, br"})

    assert response.headers["Content-Encoding"] == "br"
    assert response.content_length == 1000


def test_what_is_streamed_is_sent_as_it_comes(app: Flask) -> None:
    app.add_url_rule("/stream", view_func=lambda: iter(["a", "b"]))

    response = app.test_client().get("/stream", headers={"Accept-Encoding": "gzip"})

    assert response.data == b"ab"
    assert "ETag" not in response.headers


@pytest.mark.server
def test_two_servers_agree_on_every_etag(site: Process) -> None:
    with Process(f"flask run --port {(port := free_port())}", port, cwd=ROOT) as other:
        for target in TARGETS:
            headers = {"Accept-Encoding": "gzip", "Host": "site.test"}

            ours, theirs = site.get(target, headers=headers), other.get(target, headers=headers)

            assert ours.header("ETag") == theirs.header("ETag")
            assert ours.body == theirs.body
