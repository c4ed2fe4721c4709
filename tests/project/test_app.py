"""The defaults in create_app(), which an owner may change."""

from urllib.robotparser import RobotFileParser
from zlib import crc32

import pytest
from flask import Flask, request, session
from flask.testing import FlaskClient

from blasto.app import create_app
from blasto.picture import picture

from tests.sitemap import Document

COOKIES = [
    ("DYNO", {}, True),
    ("ELSEWHERE", {}, False),
    ("DYNO", {"HTTPS_ONLY": 0}, False),
    ("ELSEWHERE", {"HTTPS_ONLY": 1}, True),
]


@pytest.mark.parametrize(("variable", "config", "is_secure"), COOKIES)
def test_session_cookies_are_lax_and_secure_where_the_site_is_https_only_as_on_heroku(
    monkeypatch: pytest.MonkeyPatch, variable: str, config: dict[str, int], *, is_secure: bool
) -> None:
    monkeypatch.setenv(variable, "web.1")
    app = create_app(config)
    app.add_url_rule("/in", "in", lambda: str(session.setdefault("name", "Bo")))

    cookie = app.test_client().get("/in", base_url="https://localhost").headers["Set-Cookie"]

    assert "; SameSite=Lax" in cookie
    assert ("; Secure" in cookie) == is_secure


def test_any_cache_may_store_pages_and_files_at_the_root_for_a_minute(client: FlaskClient) -> None:
    for url, media_type in {
        "/": "text/html",
        "/user/Bo": "text/html",
        "/apple-touch-icon.png": "image/png",
        "/favicon.ico": "image/x-icon",
        "/robots.txt": "text/plain",
    }.items():
        response = client.get(url, buffered=True)  # closes a file

        assert (response.status_code, response.mimetype) == (200, media_type)
        assert response.headers["Cache-Control"] == "max-age=60, s-maxage=60"


def test_the_canonical_url_of_any_page_is_encoded(client: FlaskClient) -> None:
    page = Document(client.get("/%C3%A9%20%2523", "https://site.test").text)

    canonical = page.attributes("link[@rel='canonical']", "href")
    assert canonical == ["https://site.test/%C3%A9%20%2523"]


def test_robots_may_read_every_page_and_index_the_home_page(client: FlaskClient) -> None:
    robots = RobotFileParser()
    robots.parse(client.get("/robots.txt", buffered=True).text.splitlines())

    assert robots.can_fetch("*", "/user/Bo")  # which asks not to be kept
    assert "noindex" not in client.get("/").text


def test_a_picture_never_changes_and_fills_its_frame() -> None:
    stars = Document(picture("Ada Lovelace"))

    drawn = [stars.attributes("{*}polygon", name) for name in ("points", "color")]
    assert crc32(repr(drawn).encode()) == 1919924021, "user.html says that pictures stay the same"
    assert stars.attributes("{*}svg", "viewBox") == ["-64 -57 152 119"]


def test_an_upload_of_more_than_16_mb_is_rejected(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/read", "read", lambda: str(len(request.get_data())), methods=["POST"])

    assert client.post("/read", data=bytes(16 << 20)).status_code == 200
    response = client.post("/read", data=bytes(17 << 20))
    assert response.status_code == 413
    assert "<h1>" in response.text  # which explains
