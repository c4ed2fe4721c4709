"""Static files: cacheable for a year at versioned URLs, elsewhere for a minute."""

import os
import shutil
from pathlib import Path
from unittest import mock

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient

from blasto.serving.responses import MAX_IN_MEMORY

from tests.serving.conftest import make_app


def url_of(app: Flask, filename: str) -> str:
    with app.test_request_context():
        return url_for("static", filename=filename)


def test_only_the_current_versioned_url_is_immutable(client: FlaskClient, versioned: str) -> None:
    outdated = versioned.replace("v=", "v=0")
    urls = ("/static/text.txt", outdated, versioned)
    policies = [client.get(url, buffered=True).headers["Cache-Control"] for url in urls]

    assert policies == [
        *["max-age=60, s-maxage=60"] * 2,
        "max-age=31536000, s-maxage=31536000, immutable",
    ]


def test_a_changed_file_has_a_new_url_and_its_old_one_is_no_longer_immutable(
    app: Flask, tmp_path: Path, versioned: str
) -> None:
    (tmp_path / "text.txt").write_text("changed")

    assert url_of(app, "text.txt") != versioned
    assert app.test_client().get(versioned).headers["Cache-Control"] == "max-age=60, s-maxage=60"


def test_url_and_etag_depend_on_the_content_alone(tmp_path: Path, app: Flask) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(tmp_path / "text.txt", elsewhere)
    os.utime(elsewhere / "text.txt", (1, 1))
    other = make_app(elsewhere)

    url = url_of(app, "text.txt")
    ours, theirs = (served.test_client().get(url).headers for served in (app, other))

    assert url_of(other, "text.txt") == url
    assert ours["ETag"] == theirs["ETag"]
    assert "Last-Modified" not in ours


def test_the_url_of_a_missing_file_has_no_version(app: Flask) -> None:
    assert url_of(app, "missing.css") == "/static/missing.css"
    assert app.test_client().get("/static/v=0/missing.css").status_code == 404


def test_a_large_file_is_streamed_with_ranges(app: Flask, tmp_path: Path) -> None:
    size = MAX_IN_MEMORY + 1
    (tmp_path / "film.txt").write_bytes(b"x" * size)
    client = app.test_client()

    whole = client.get("/static/film.txt", headers={"Accept-Encoding": "gzip"})
    part = client.get("/static/film.txt", headers={"Range": "bytes=0-3"})

    assert whole.content_length == size
    assert "Content-Encoding" not in whole.headers
    assert whole.headers["ETag"] == part.headers["ETag"]
    assert (part.status_code, part.data) == (206, b"xxxx")
    whole.close()
    part.close()


@pytest.mark.parametrize(
    "target",
    [
        *("../secret", "..%2fsecret", "%2e%2e/secret", "/../secret", "//secret", "a/../../secret"),
        *("v=0/../../secret", "v=0/..%2f..%2fsecret", "folder", "pipe", "", ".", "x" * 5000),
        *("%00", "text.txt%00", "a%0d%0ab", "%ff", "%ed%a0%80", "%80" * 300),
    ],
)
def test_nothing_but_a_regular_file_of_the_folder_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    folder = tmp_path / "static"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "text.txt").write_text("text")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    app = make_app(folder)
    opened = mock.Mock(wraps=open)
    monkeypatch.setattr("builtins.open", opened)

    response = app.test_client().get("/static/" + target, follow_redirects=True)

    assert response.status_code == 404
    assert not [call for call in opened.mock_calls if str(tmp_path) in str(call)]
