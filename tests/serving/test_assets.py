"""Static files, of a site and of its blueprints: storable for a year at versioned URLs."""

import gzip
import os
import shutil
from pathlib import Path
from unittest import mock

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient

from blasto.serving.cache import MAX_BODY

from tests.serving.conftest import make_app, url_of

BRIEF = "max-age=60, s-maxage=60"
IMMUTABLE = "max-age=31536000, s-maxage=31536000, immutable"


@pytest.fixture(params=["static", "shop.static"])
def endpoint(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> str:
    """The endpoint of the site's files, or of those of a blueprint that is registered later."""
    shop = Blueprint("shop", "shop", static_folder=tmp_path, static_url_path="/shop/files")
    app.register_blueprint(shop)
    name: str = request.param
    return name


def test_only_the_current_versioned_url_is_immutable(app: Flask, endpoint: str) -> None:
    versioned = url_of(app, "text.txt", endpoint)
    urls = (versioned.partition("?")[0], f"{versioned}0", versioned)

    policies = [app.test_client().get(url).headers["Cache-Control"] for url in urls]

    assert policies == [BRIEF, BRIEF, IMMUTABLE]


def test_a_changed_file_has_a_new_url_and_its_old_one_is_no_longer_immutable(
    app: Flask, tmp_path: Path, endpoint: str
) -> None:
    versioned = url_of(app, "text.txt", endpoint)
    (tmp_path / "text.txt").write_text("changed")
    (tmp_path / "text.txt").touch()

    assert url_of(app, "text.txt", endpoint) != versioned
    assert app.test_client().get(versioned).headers["Cache-Control"] == BRIEF


def test_url_and_etag_depend_on_the_content_alone(tmp_path: Path, app: Flask) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("text.txt", "picture.png"):
        shutil.copy(tmp_path / name, elsewhere)
        os.utime(elsewhere / name, (1, 1))
        other = make_app(elsewhere)

        url = url_of(app, name)
        ours, theirs = (served.test_client().get(url).headers for served in (app, other))

        assert url_of(other, name) == url
        assert ours["ETag"] == theirs["ETag"]
        assert "Last-Modified" not in ours


def test_many_files_are_hashed_once(app: Flask, tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{number}.png").write_bytes(b"x")

    def render() -> int:
        with mock.patch("builtins.open", wraps=open) as opened:
            assert all("?v=" in url_of(app, f"{number}.png") for number in range(1000))
        return opened.call_count

    assert [render(), render()] == [1000, 0]


def test_the_url_of_a_missing_file_has_no_version(app: Flask) -> None:
    for name in ("missing.css", "../secret", "folder", "x" * 5000):
        assert "?" not in url_of(app, name)


@pytest.mark.parametrize(
    "name",
    [
        *("feed.rss", "feed.atom", "data.json", "app.js", "app.mjs", "app.js.map", "logo.svg"),
        *("site.webmanifest", "sitemap.xml", "film.vtt", "style.css"),
    ],
)
def test_text_is_compressed(app: Flask, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("text " * 100)

    response = app.test_client().get(f"/static/{name}", headers={"Accept-Encoding": "gzip"})

    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.data) == b"text " * 100


@pytest.mark.parametrize("name", ["film.mp4", "large.css"])
def test_a_large_file_or_a_film_is_sent_as_it_is_read(
    app: Flask, tmp_path: Path, name: str
) -> None:
    content = os.urandom(1000) * (MAX_BODY // 1000 + 1)
    (tmp_path / name).write_bytes(content)
    accept = {"Accept-Encoding": "gzip"}

    with app.test_client().get(f"/static/{name}", headers=accept, buffered=False) as response:
        assert response.is_streamed
    whole = app.test_client().get(f"/static/{name}", headers=accept)

    assert whole.content_length == len(content)
    assert "Content-Encoding" not in whole.headers
    assert whole.data == content


@pytest.mark.parametrize(
    "target",
    [
        *("../secret", "..%2fsecret", "%2e%2e/secret", "/../secret", "//secret", "a/../../secret"),
        *("folder", "pipe", "", ".", "x" * 5000, "%00", "text.txt%00", "a%0d%0ab"),
        *("%ff", "%ed%a0%80", "%80" * 300),
    ],
)
def test_nothing_but_a_regular_file_of_the_folder_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    folder = tmp_path / "static"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    app = make_app(folder)
    opened = mock.Mock(wraps=open)
    monkeypatch.setattr("builtins.open", opened)

    response = app.test_client().get("/static/" + target, follow_redirects=True)

    assert response.status_code == 404
    assert not [call for call in opened.mock_calls if str(tmp_path) in str(call)]


def test_a_visitor_who_is_signed_in_gets_files_that_no_other_cache_stores(
    client: FlaskClient, app: Flask
) -> None:
    visitor = app.test_client()
    visitor.get("/session")

    for url in (url_of(app, "text.txt"), "/static/picture.png", "/"):
        mine, theirs = visitor.get(url), client.get(url)

        assert "Set-Cookie" in mine.headers  # Flask renews a permanent session everywhere
        assert "s-maxage" not in mine.headers["Cache-Control"]
        assert mine.headers["Cache-Control"].startswith(("private", "no-store"))
        assert "Set-Cookie" not in theirs.headers
        assert "s-maxage" in theirs.headers["Cache-Control"]
