"""What a shared link, a search engine and a home screen show of a page."""

from struct import unpack

import pytest
from flask.testing import FlaskClient

from tests.markup import Parsed


@pytest.mark.parametrize(
    ("target", "title", "address"),
    [
        ("/", "Where your next website starts", "https://site.test/"),
        ("/?utm_source=x", "Where your next website starts", "https://site.test/"),
        ("/user/AC%2FDC?x", "Hello, AC/DC", "https://site.test/user/AC/DC"),
        ("/user?name=..&x", "Hello, ..", "https://site.test/user?name=.."),
        ("/user/é", "Hello, é", "https://site.test/user/%C3%A9"),
    ],
)
def test_a_page_says_what_it_is_and_where(
    client: FlaskClient, target: str, title: str, address: str
) -> None:
    page = Parsed(client.get(target, base_url="https://site.test").text)

    assert page.text("title") == f"{title} – Blasto"
    assert page.attributes("link", rel="canonical")["href"] == address
    assert page.attributes("meta", property="og:title")["content"] == title
    assert page.attributes("meta", property="og:url")["content"] == address
    assert page.attributes("meta", property="og:type")["content"] == "website"
    description = page.attributes("meta", name="description")["content"]
    assert description
    assert page.attributes("meta", property="og:description")["content"] == description


def test_a_shared_link_has_a_picture(client: FlaskClient) -> None:
    page = Parsed(client.get("/user/Bo", base_url="https://site.test").text)
    address = page.attributes("meta", property="og:image")["content"] or ""

    picture = client.get(address, buffered=True)

    assert address.startswith("https://site.test/")
    assert page.attributes("meta", property="og:image:alt")["content"]
    assert picture.content_type == "image/png"
    assert unpack(">II", picture.data[16:24]) == (1200, 630)


def test_there_are_icons_for_tabs_and_home_screens(client: FlaskClient) -> None:
    page = Parsed(client.get("/").text)

    tab = client.get(page.attributes("link", rel="icon")["href"] or "", buffered=True)
    home = client.get(page.attributes("link", rel="apple-touch-icon")["href"] or "", buffered=True)

    assert tab.content_type == "image/svg+xml; charset=utf-8"
    assert unpack(">II", home.data[16:24]) == (180, 180)


def test_a_theme_colour_is_the_papers_in_both_schemes(client: FlaskClient) -> None:
    page = Parsed(client.get("/").text)
    style = page.text("style")

    for scheme, rules in zip(
        ("light", "dark"), style.split("@media (prefers-color-scheme: dark)"), strict=True
    ):
        media = f"(prefers-color-scheme: {scheme})"
        colour = page.attributes("meta", name="theme-color", media=media)["content"]
        assert f"--paper: {colour};" in rules


def test_only_the_index_page_may_be_indexed(client: FlaskClient) -> None:
    for target in ("/user/Bo", "/user?name=..", "/nothing"):
        page = Parsed(client.get(target).text)
        assert page.attributes("meta", name="robots")["content"] == "noindex"

    index = Parsed(client.get("/").text)
    assert "robots" not in {attributes.get("name") for _, attributes in index.elements}
