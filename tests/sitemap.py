"""Finds the pages of an application in its URL map, so that each is held to every promise."""

from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from flask import Flask, template_rendered
from html5lib import HTMLParser
from jinja2 import Template

LINKED = ("stylesheet", "icon", "apple-touch-icon", "manifest", "preload", "next", "prev")


class Page(NamedTuple):
    """The URL of a page, and its view function and template."""

    url: str
    source: str

    def __str__(self) -> str:
        return f"{self.url} ({self.source})"


def find_pages(app: Flask) -> list[Page]:
    """Return the routes without arguments that respond with HTML or a server error."""
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


class Document:
    """A parsed page and its parse errors; paths are those of ElementTree."""

    def __init__(self, html: str) -> None:
        parser = HTMLParser(namespaceHTMLElements=False)
        self.root = parser.parse(html)
        self.errors = [f"{code} in line {line}" for (line, _), code, _ in parser.errors]

    def texts(self, path: str) -> list[str]:
        """Return the text of each element."""
        return ["".join(element.itertext()) for element in self.root.findall(f".//{path}")]

    def attributes(self, path: str, name: str) -> list[str]:
        """Return the value of an attribute in each element that has it."""
        elements = self.root.findall(f".//{path}")
        return [element.attrib[name] for element in elements if name in element.attrib]

    def links(self, url: str) -> list[str]:
        """Return the URLs on the same site that the page at `url` links to or loads."""
        found = [
            *self.attributes("a", "href"),
            *(link for rel in LINKED for link in self.attributes(f"link[@rel='{rel}']", "href")),
            *self.attributes("*", "src"),
        ]
        joined = [urljoin(f"//site{url}", link) for link in found]
        return [
            link.removeprefix("//site") for link in joined if urlsplit(link)[:2] == ("", "site")
        ]
