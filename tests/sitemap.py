"""Finds the pages of an application in its URL map, so that each is held to every promise."""

from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from flask import Flask, template_rendered
from justhtml import JustHTML


class Page(NamedTuple):
    """A page, and where its text can be mended."""

    url: str
    source: str

    def __str__(self) -> str:
        return f"{self.url} ({self.source})"


def find_pages(app: Flask) -> list[Page]:
    """Return every route without arguments that answers a GET with HTML, or with an error."""
    client = app.test_client(use_cookies=False)
    pages = []
    for rule in app.url_map.iter_rules():
        if rule.arguments or "GET" not in (rule.methods or ()):
            continue
        templates: list[str] = []
        with template_rendered.connected_to(
            lambda _app, template, **_: templates.append(template.name), app
        ):
            response = client.get(rule.rule, buffered=True)
        if response.status_code >= 500 or (response.status, response.mimetype) == (
            "200 OK",
            "text/html",
        ):
            where = f"{rule.endpoint.rpartition('.')[2]}()"
            pages.append(Page(rule.rule, " in ".join([where, *templates[:1]])))
    return pages


def parse(html: str) -> JustHTML:
    """Return a document, with its errors by the rules of the HTML standard."""
    return JustHTML(html, collect_errors=True, sanitize=False)


def attributes(document: JustHTML, selector: str, name: str) -> list[str]:
    """Return the values that an attribute has in the elements of a selector."""
    return [
        element.attrs[name] or "" for element in document.query(selector) if name in element.attrs
    ]


def links(document: JustHTML, url: str) -> list[str]:
    """Return the URLs on the same site that a page links to or loads, with their fragments."""
    found = [
        *attributes(document, "a, link:not([rel=canonical])", "href"),
        *attributes(document, "img, script, source, video, audio, iframe", "src"),
    ]
    joined = [urljoin(f"//site{url}", link) for link in found]
    return [link.removeprefix("//site") for link in joined if urlsplit(link)[:2] == ("", "site")]
