"""The defaults in create_app(), which an owner may change."""

from zlib import crc32

import pytest
from flask import request, session

from blasto.app import create_app
from blasto.picture import picture

from tests.sitemap import Document

HEROKU = {"DYNO": "web.1"}


@pytest.mark.parametrize(
    ("env", "config", "is_secure"),
    [
        ({}, {}, False),
        (HEROKU, {}, True),
        (HEROKU | {"FLASK_HTTPS_ONLY": "0"}, {}, False),
        (HEROKU, {"HTTPS_ONLY": 0}, False),
        ({"FLASK_HTTPS_ONLY": "1"}, {}, True),
    ],
)
def test_session_cookies_are_lax_and_on_heroku_secure(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], config: dict[str, int], *, is_secure: bool
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    app = create_app(config)
    app.add_url_rule("/in", "in", lambda: str(session.setdefault("name", "Bo")))

    cookie = app.test_client().get("/in", base_url="https://localhost").headers["Set-Cookie"]

    assert "; SameSite=Lax" in cookie
    assert ("; Secure" in cookie) == is_secure


def test_any_cache_may_store_the_pages_and_the_files_at_the_root_for_a_minute() -> None:
    client = create_app().test_client()
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


def test_the_canonical_url_of_any_page_is_encoded() -> None:
    page = Document(create_app().test_client().get("/%C3%A9%20%2523").text)

    canonical = page.attributes("link[@rel='canonical']", "href")
    assert canonical == ["http://localhost/%C3%A9%20%2523"]


def test_a_picture_is_in_every_version_what_it_was() -> None:
    stars = Document(picture("Ada Lovelace"))

    drawn = [stars.attributes("{*}polygon", name) for name in ("points", "color")]
    assert crc32(repr(drawn).encode()) == 1919924021, (
        "user.html promises that pictures stay the same"
    )


def test_an_upload_of_more_than_16_mb_is_rejected_with_a_page() -> None:
    app = create_app()
    app.add_url_rule("/read", "read", lambda: str(len(request.get_data())), methods=["POST"])

    small, large = (
        app.test_client().post("/read", data=bytes(size)) for size in (16 << 20, 17 << 20)
    )

    assert (small.status_code, large.status_code) == (200, 413)
    assert "<h1>" in large.text
