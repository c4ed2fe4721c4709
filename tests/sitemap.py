"""Finds the pages of an application in its URL map, so that each is held to every promise."""

from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from flask import Flask, template_rendered
from jinja2 import Template
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
    templates: list[str] = []

    def note(_app: Flask, template: Template, **_: Any) -> None:
        templates.append(f" in {template.name}")

    pages = []
    for rule in app.url_map.iter_rules():
        if rule.arguments or "GET" not in (rule.methods or ()):
            continue
        templates.clear()
        with template_rendered.connected_to(note, app):
            response = client.get(rule.rule, buffered=True)
        is_page = response.status_code == 200 and response.mimetype == "text/html"
        if is_page or response.status_code >= 500:
            source = f"{rule.endpoint.rpartition('.')[2]}(){''.join(templates[:1])}"
            pages.append(Page(rule.rule, source))
    return pages


def parse(html: str) -> JustHTML:
    """Return a document, with its errors by the rules of the HTML standard."""
    return JustHTML(html, collect_errors=True, sanitize=False)


def attributes(document: JustHTML, selector: str, name: str) -> list[str]:
    """Return the values that an attribute has in the elements of a selector."""
    elements = [element.attrs or {} for element in document.query(selector)]
    return [attrs[name] or "" for attrs in elements if name in attrs]


def links(document: JustHTML, url: str) -> list[str]:
    """Return the URLs on the same site that a page links to or loads, with their fragments."""
    found = [
        *attributes(document, "a, link:not([rel=canonical])", "href"),
        *attributes(document, "img, script, source, video, audio, iframe", "src"),
    ]
    joined = [urljoin(f"//site{url}", link) for link in found]
    return [link.removeprefix("//site") for link in joined if urlsplit(link)[:2] == ("", "site")]
