"""Static files, of a site and of its blueprints: storable for a year at versioned URLs."""

import importlib
import mimetypes
import os
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from flask import Blueprint, Flask, redirect, render_template_string, request, url_for
from flask.testing import FlaskClient
from werkzeug.routing import BuildError

from blasto import serving
from blasto.serving import assets

from tests.serving.conftest import Patch, serve, url_of

BRIEF = "max-age=60, s-maxage=60"
IMMUTABLE = "max-age=31536000, s-maxage=31536000, immutable"
TYPES = {
    **{".js": "text/javascript", ".mjs": "text/javascript", ".map": "application/json"},
    **{".avif": "image/avif", ".webp": "image/webp", ".ico": "image/x-icon"},
    **{".atom": "application/atom+xml", ".rss": "application/rss+xml"},
    **{".webmanifest": "application/manifest+json", ".woff2": "font/woff2"},
}


@mock.patch.object(assets, "monotonic", count().__next__)  # each moment is another second
def test_only_the_current_versioned_url_is_immutable(client: FlaskClient, tmp_path: Path) -> None:
    app, folder = client.application, tmp_path / "shop"
    shop = Blueprint("shop", "shop", static_folder=folder, static_url_path="/shop/files")
    app.register_blueprint(shop)
    folder.mkdir()

    for endpoint, file in (("static", tmp_path / "file.txt"), ("shop.static", folder / "file.txt")):
        urls = []
        for text in ("first", "second"):
            file.write_text(text)
            os.utime(file, (1, 1))
            urls.append(url_of(app, "file.txt", endpoint))
        outdated, current = urls

        for versioned in (current, f"{current}?another"):
            assert client.get(versioned).headers["Cache-Control"] == IMMUTABLE
        for other in (outdated, f"{current}0", current.partition("?")[0]):
            assert client.get(other).headers["Cache-Control"] == BRIEF


def test_a_page_with_an_argument_is_no_file(client: FlaskClient, app: Flask) -> None:
    app.add_url_rule("/film/<filename>", "film", lambda filename: filename)

    assert url_of(app, "text.txt", "film") == "/film/text.txt"
    assert client.get("/film/text.txt").headers["Cache-Control"] == "no-store"


def test_many_files_are_hashed_once_and_told_apart(app: Flask, tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(200)]
    for name in names:
        (tmp_path / name).write_text(name)

    for hashed in (200, 0):
        with mock.patch("builtins.open", wraps=open) as opened:
            versions = {url_of(app, name).partition("?v=")[2] for name in names}
        assert len(versions) == 200
        assert opened.call_count == hashed


def test_the_url_of_a_missing_file_has_no_version(app: Flask) -> None:
    for name in ("missing.css", "../secret", "folder", "x" * 5000):
        assert "?" not in url_of(app, name)
    for filename, endpoint in ((None, "static"), ("text.txt", "no.static")):
        with pytest.raises(BuildError):
            url_of(app, filename, endpoint)


def test_media_types_do_not_depend_on_the_machine(monkeypatch: Patch) -> None:
    monkeypatch.setattr(mimetypes, "knownfiles", [])
    mimetypes.init()
    for extension in TYPES:
        mimetypes.add_type("text/x-other", extension)
    importlib.reload(assets)

    assert {extension: mimetypes.guess_type(f"a{extension}")[0] for extension in TYPES} == TYPES


def test_a_large_file_or_a_film_is_sent_as_it_is_read(client: FlaskClient, tmp_path: Path) -> None:
    for name, size in (("film.mp4", 1_000), ("large.css", 1_000_001)):
        (tmp_path / name).write_bytes(bytes(size))
        accept = {"Accept-Encoding": "gzip"}

        with client.get(f"/static/{name}", headers=accept, buffered=False) as response:
            assert response.is_streamed
            assert response.content_length == size
            assert response.data == bytes(size)
            known = accept | {"If-None-Match": response.headers["ETag"]}
        assert client.get(f"/static/{name}", headers=known).status_code == 304


def test_nothing_but_a_regular_file_of_the_folder_is_opened(tmp_path: Path) -> None:
    (tmp_path / "static" / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    os.mkfifo(tmp_path / "static" / "pipe")
    client = serve(static=tmp_path / "static")

    with mock.patch("builtins.open", side_effect=AssertionError):
        for target in (
            *("../secret", "..%2fsecret", "%2e%2e/secret", "/../secret", "//secret"),
            *("a/../../secret", "folder", "pipe", "", ".", "x" * 5000, "%00", "text.txt%00"),
            *("a%0d%0ab", "%ff", "%ed%a0%80", "%80" * 300),
        ):
            assert client.get(f"/static/{target}", follow_redirects=True).status_code == 404


def test_no_other_cache_stores_the_files_of_a_visitor_who_is_signed_in(client: FlaskClient) -> None:
    client.application.secret_key = "secret"  # noqa: S105
    visitor = client.application.test_client()
    with visitor.session_transaction() as session:
        session.permanent = True  # Flask renews it everywhere

    for url, policy in {
        url_of(client.application, "text.txt"): "private, max-age=31536000, immutable",
        "/static/picture.png": "private, max-age=60",
        "/": "no-store",
    }.items():
        accept = {"Accept-Encoding": "gzip"}
        mine, theirs = (it.get(url, headers=accept).headers for it in (visitor, client))

        assert ("Set-Cookie" in mine, "Set-Cookie" in theirs) == (True, False)
        assert ("Content-Encoding" in mine) == ("immutable" in policy)
        assert mine["Cache-Control"] == policy
        assert "Cookie" in mine["Vary"]
        assert "s-maxage" in theirs["Cache-Control"]
        assert "Age" not in theirs
        known = accept | {"If-None-Match": mine.get("ETag", "")}
        assert (visitor.get(url, headers=known).status_code == 304) == (url != "/")


def test_a_file_depends_on_nothing_that_the_site_reads(client: FlaskClient, app: Flask) -> None:
    app.before_request(lambda: {**request.cookies}.get("theme"))

    assert client.get(url_of(app, "text.txt")).headers["Cache-Control"] == IMMUTABLE


def test_a_redirect_in_place_of_a_file_is_not_stored(client: FlaskClient, app: Flask) -> None:
    app.before_request(lambda: redirect("/soon"))

    response = client.get(url_of(app, "text.txt"))

    assert (response.status_code, response.headers["Cache-Control"]) == (302, "no-store")


@pytest.mark.parametrize("languages", [False, True])
def test_a_template_gets_the_urls_that_flask_builds(app: Flask, *, languages: bool) -> None:
    app.config["SERVER_NAME"] = "site.test"
    app.subdomain_matching = True
    app.add_url_rule("/shop", "shop", subdomain="shop")
    app.add_url_rule("/<language>/about", "about")
    app.add_url_rule("/items", "items")
    app.add_url_rule("/items/new", "items", methods=["POST"])

    def add_language(endpoint: str, values: dict[str, str]) -> None:
        if endpoint == "about":
            values["language"] = request.args.get("language", "en") if request else "en"

    calls: list[tuple[str, dict[str, Any]]] = [
        *((endpoint, {}) for endpoint in ("page", "shop", "items")),
        *(("static", {"filename": file}) for file in ("text.txt", Path("text.txt"))),
        ("static", {"filename": "text.txt", "_external": True}),
        *(("page", {name: ["a"]}) for name in ("filename", "tag")),
    ]
    if languages:
        app.url_defaults(add_language)
        calls.append(("about", {}))
    contexts: list[Any] = [
        app.app_context(),
        *(app.test_request_context("/", "http://site.test", method=it) for it in ("GET", "POST")),
        app.test_request_context("/?language=es", "http://site.test"),
        *(app.test_request_context("/", f"http://{it}") for it in ("site.test", "shop.site.test")),
        *(app.test_request_context("/", f"{it}://site.test/mounted") for it in ("http", "https")),
    ]
    for context in contexts:
        with context:
            for endpoint, values in calls:
                url = render_template_string("{{ url_for(e, **v) }}", e=endpoint, v=values)
                assert url == url_for(endpoint, **values)


def test_a_blueprint_s_template_may_name_its_own_views(app: Flask) -> None:
    urls = ["/one/", "/two/"]
    for url in urls:
        shop = Blueprint(url[1:-1], "shop", url_prefix=url)
        shop.add_url_rule("/", "index", lambda: render_template_string("{{ url_for('.index') }}"))
        app.register_blueprint(shop)

    assert [app.test_client().get(url).text for url in urls] == urls


def test_an_extension_or_a_site_may_replace_the_urls_of_templates() -> None:
    class Site(Flask):
        def url_for(self, *_: Any, **__: Any) -> str:
            return "https://cdn.test/text.txt"

    site, extended = Site("specimen.app"), Flask("specimen.app")
    extended.jinja_env.globals["url_for"] = site.url_for

    for app in (site, extended):
        serving.init_app(app)

        assert app.jinja_env.globals["url_for"] == site.url_for
