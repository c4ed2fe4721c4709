"""Finds the pages of the site in its URL map, so that each is tested for every promise."""

import logging
import re
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from inspect import unwrap
from pathlib import Path
from traceback import extract_tb
from typing import Any, NamedTuple, NoReturn
from urllib.parse import parse_qs, urldefrag, urljoin, urlsplit

import pytest
from flask import Flask
from html5lib import HTMLParser
from html5lib.constants import E
from werkzeug.exceptions import InternalServerError
from werkzeug.routing import Rule
from werkzeug.test import Client, TestResponse

from blasto.app import create_app

from tests.pages.examples import EXAMPLES, NO_PAGES, prepare
from tests.processes import PACKAGE, ROOT

LINKED = {
    *("stylesheet", "icon", "apple-touch-icon", "manifest", "preload", "modulepreload"),
    *("alternate", "next", "prev"),
}
ORIGIN = "http://localhost"
SECONDS = 10  # for a response in process
MAX_BYTES = 10_000_000  # of a page
MAX_REDIRECTS = 10
WHOLE = re.compile(r"<(!doctype|html|head|body)\b", re.IGNORECASE)
# What html5lib takes for errors: `&` in URLs, `--` in comments, parts of <select>, any <template>.
NO_ERRORS = (
    *("unexpected-start-tag-in-select", "unexpected-end-tag-in-select"),
    *("expected-named-entity", "named-entity-without-semicolon"),
    *("unexpected-char-in-comment", "unexpected-dash-after-double-dash-in-comment"),
)
TEMPLATE = re.compile(r"(?is)<template\b(?:(?!<template\b).)*?</template>")
ERROR_PAGE = "/no/such/page"
NO_PAGE = "add its endpoint to NO_PAGES in tests/pages/examples.py"
SIGN_IN = (
    "asks to sign in: let prepare() in tests/pages/examples.py return the session of a visitor who"
    f" may see it, switch that off with a setting in tests/conftest.py, or {NO_PAGE}"
)
NOT_SHOWN = f"change its example, let prepare() create it, or sign in; if it is no page, {NO_PAGE}"
NO_EXAMPLE = (
    f"with values that exist, in EXAMPLES in tests/pages/examples.py; if it is no page, {NO_PAGE}"
)
HIDDEN = (
    "a handler of every URL of http://localhost hides the pages from the tests; switch it off with"
    " a setting in tests/conftest.py"
)
NO_DOCUMENT = f"has no doctype: extend base.html; if it is part of a page, or no HTML, {NO_PAGE}"


class Document:
    """A parsed page and its parse errors; paths are those of ElementTree."""

    def __init__(self, html: str) -> None:
        parser = HTMLParser(namespaceHTMLElements=False)
        found = 1
        while found:  # the innermost first
            html, found = TEMPLATE.subn(lambda match: "\n" * match[0].count("\n"), html)
        self.root = parser.parse(html)
        lines = re.split("\r\n?|\n", html)
        self.errors = [
            f"{E.get(code, code).rstrip('.') % data}: “{lines[line - 1].strip()[:100]}”"
            for (line, _), code, data in parser.errors
            if code not in NO_ERRORS
        ]

    def texts(self, path: str) -> list[str]:
        """Return the text of each element, with that of its images."""
        return [
            "".join([*element.itertext(), *(image.get("alt", "") for image in element.iter("img"))])
            for element in self.root.findall(f".//{path}")
        ]

    def attributes(self, path: str, name: str) -> list[str]:
        """Return the value of an attribute in each element that has it."""
        elements = self.root.findall(f".//{path}")
        return [element.attrib[name] for element in elements if name in element.attrib]

    def kinds(self) -> set[tuple[str | None, ...]]:
        """Return the kinds of elements in <main>."""
        elements = self.root.findall(".//main//*")
        return {(it.tag, it.get("class"), it.get("name")) for it in elements}

    def scripts(self) -> set[tuple[str | None, ...]]:
        """Return the scripts, by text and URL."""
        scripts = self.root.iter("script")
        return {(it.text, it.get("src")) for it in scripts if "json" not in it.get("type", "")}

    def links(self, url: str) -> list[str]:
        """Return the URLs on the same site that the page at `url` links to or loads."""
        links = self.attributes("{*}a", "href") + self.attributes("area", "href")
        links += self.attributes("*", "src") + self.attributes("video", "poster")
        for choice in self.attributes("*", "srcset"):
            links += re.findall(r"([^\s,]\S*[^\s,])[^,]*", choice)
        for link in self.root.iter("link"):
            if not LINKED.isdisjoint(link.get("rel", "").lower().split()):
                links.append(link.get("href", ""))
        shown = self.attributes("meta", "content")
        return on_site(url, *links, *(link for link in shown if link.startswith(ORIGIN)))


def on_site(url: str, *links: str) -> list[str]:
    """Return those links on the page at `url` that stay on its site, without the origin."""
    joined = [urljoin(ORIGIN + url, link.strip()) for link in links]
    return [link.removeprefix(ORIGIN) for link in joined if link.startswith(f"{ORIGIN}/")]


class Page(NamedTuple):
    """A page, as sent to a visitor with its cookie."""

    url: str
    endpoint: str
    view: str
    cookie: str
    response: TestResponse
    document: Document

    def __str__(self) -> str:
        return f"{self.url} ({self.view})"

    def asks_to_sign_in(self) -> bool:
        if not self.response.history:
            return self.response.status_code in {401, 403} and is_markup(self.response)
        passwords = self.document.attributes("input[@type='password']", "type")
        return bool(passwords) or "next" in self.response.request.args  # as Flask-Login has it


Check = Callable[[Page], Iterable[str]]


def pages() -> list[Page]:
    return [*survey().pages, *survey().others]


def of_every_page(check: Check) -> Callable[[], None]:
    """Make a test of a check, which each page has to pass."""
    return lambda: hold(pages(), check)


def of_the_error_page_too(check: Check) -> Callable[[], None]:
    return lambda: hold(filter(None, [*pages(), survey().error_page]), check)


def hold(pages: Iterable[Page], check: Check) -> None:
    """Check each page; fail with each fault once, behind the pages that have it."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for page in pages:
        for fault in check(page):
            found[fault].setdefault(page.url.partition("?")[0], str(page))
    report({fault: [*places.values()] for fault, places in found.items()})


def report(faults: dict[str, list[str]]) -> None:
    """Fail if there are faults."""
    lines = [f"{', '.join(dict.fromkeys(places))} {fault}" for fault, places in faults.items()]
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


@contextmanager
def time_limit(seconds: float, stop: Callable[[], object]) -> Iterator[None]:
    """Call a function if something takes too long."""
    previous = signal.signal(signal.SIGALRM, lambda *_: stop())
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)  # again, if what it raises is caught
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def give_up() -> NoReturn:
    raise TimeoutError(f"no response within {SECONDS} s")


def read(response: TestResponse) -> bytes:
    body = bytearray()
    for part in response.iter_encoded():
        body += part
        if len(body) > MAX_BYTES:
            raise TimeoutError("the page has no end")
    return bytes(body)


def is_markup(response: TestResponse, kinds: str = "html|xml") -> bool:
    return bool(re.search(f"({kinds})$", response.mimetype or ""))


def get(app: Flask, url: str, cookie: str = "", **headers: str) -> TestResponse:
    """Follow redirects on the site; read only HTML and XML, because a stream may have no end.

    A failure midway is logged and becomes a 500, as one before it does.
    """
    headers |= {"Cookie": cookie} if cookie else {}
    history: list[TestResponse] = []
    while True:
        try:
            with time_limit(SECONDS, give_up):  # such as a view that waits for an event
                response = app.test_client(use_cookies=False).get(url, headers=headers)
                body = read(response) if is_markup(response) else b""
                response.close()
        except Exception:
            app.logger.exception("Exception on %s", url)
            return Client(InternalServerError()).get(url)
        response.response, response.history = [body], tuple(history)
        target = on_site(url, response.location or "//")
        if response.status_code // 100 != 3 or not target or len(history) == MAX_REDIRECTS:
            return response
        history.append(response)
        url = target[0]


class Survey(logging.Handler):
    """The pages of the site, and the problems with its other routes."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: dict[str, list[str]] = defaultdict(list)
        self.errors: list[BaseException] = []
        self.not_shown: list[tuple[Page, str]] = []  # of the examples, and what is
        self.app = create_app()
        self.app.logger.addHandler(self)
        self.session: dict[str, Any] = {}
        try:
            with self.app.app_context():
                self.session = prepare(self.app)
            for name in logging.root.manager.loggerDict:  # Alembic disables them
                logging.getLogger(name).disabled = False
            self.new_cookie()
        except (Exception, SystemExit) as error:  # Flask-Migrate exits
            self.problems[f"cannot be tested: prepare() raises {cause(error)}"].append("/")
            self.pages, self.others, self.error_page = [], [], None
            return
        # A site may end all its URLs in a slash.
        self.error_page = self.visit(ERROR_PAGE, "") or self.visit(f"{ERROR_PAGE}/", "")
        found = [page for it in self.urls().items() if (page := self.visit(*it))]
        self.pages = [page for page in found if WHOLE.search(page.response.text)]
        links = {link for page in self.pages for link in page.document.links(page.url)}
        for page in found:
            if page not in self.pages and (page.url in links or page.endpoint in EXAMPLES):
                self.problems[NO_DOCUMENT].append(str(page))
        for page, shown in self.not_shown:  # a rule may redirect to another of its endpoint
            if shown.startswith("is 404") or page.endpoint not in {it.endpoint for it in found}:
                self.problems[f"{shown}: {NOT_SHOWN}"].append(str(page))
        self.others = [other for it in self.others_of(self.pages) if (other := self.visit(*it))]

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self.errors.append(record.exc_info[1])

    def new_cookie(self) -> str:
        """Return the cookie of a new session, which prepare() signs in."""
        if not self.session:
            return ""
        client = self.app.test_client()
        with client.session_transaction() as values:
            values.update(self.session)
        cookie = client.get_cookie(self.app.config["SESSION_COOKIE_NAME"])
        return f"{cookie.key}={cookie.value}" if cookie else ""

    @property
    def failing(self) -> set[str]:
        """The URLs and routes that have problems."""
        places = [place for places in self.problems.values() for place in places]
        return {place.partition(" ")[0] for place in places}

    @property
    def is_blocked(self) -> bool:
        """Whether the index or the error page fails, and so most tests would."""
        return not self.failing.isdisjoint({"/", ERROR_PAGE})

    def urls(self) -> dict[str, str]:
        """Return a URL for each rule with a view of the site's own, and its endpoint."""
        found: dict[str, str] = {}
        first: dict[tuple[str, bool], str] = {}
        for rule in self.app.url_map.iter_rules():
            is_local = rule.host in {None, "", urlsplit(ORIGIN).netloc} and not rule.subdomain
            view = self.app.view_functions.get(rule.endpoint)
            is_page = "GET" in (rule.methods or ()) and rule.endpoint not in NO_PAGES
            if not (is_local and is_page and (is_own(view) or rule.endpoint in EXAMPLES)):
                continue
            shown = first.setdefault((rule.rule, rule.websocket), rule.endpoint)
            if shown != rule.endpoint:
                twice = f"is the URL of {shown} and {rule.endpoint}, of which one is never shown"
                self.problems[f"{twice}: change one"].append(rule.rule)
            urls = [build(rule, values) for values in examples_of(rule.endpoint)]
            found |= {url: rule.endpoint for url in urls if url and url not in found}
            if not any(urls):
                values = ", ".join(f'"{name}": …' for name in sorted(rule.arguments))
                needs = f'needs "{rule.endpoint}": {{{values}}}, {NO_EXAMPLE}'
                self.problems[needs].append(rule.rule)
        return found

    def others_of(self, pages: list[Page]) -> Iterator[tuple[str, ...]]:
        """Yield the views' other pages: signed in, and at a link with each query."""
        endpoints = {page.url: page.endpoint for page in pages}
        cookie = self.new_cookie()
        yield from ((it.url, it.endpoint, cookie) for it in pages if cookie and not it.cookie)
        found = {}
        for link in (urldefrag(it).url for page in pages for it in page.document.links(page.url)):
            path, _, query = link.partition("?")
            if query and path in endpoints:
                found[path, *sorted(parse_qs(query))] = link, endpoints[path]
        yield from found.values()

    def shown(self) -> Iterator[Page]:
        """Yield the pages to look at: signed in too, where that shows more, such as a form."""
        yield from self.pages
        open_to_all = {page.url: page.document.kinds() for page in self.pages}
        for page in self.others:
            kinds = page.document.kinds()
            if page.cookie and kinds - open_to_all.get(page.url, kinds):
                yield page

    def is_open(self, page: Page) -> bool:
        """Return whether what a page redirects to is shown without signing in, as its form is."""
        at = page.response.request
        return not (page.cookie and page.response.history and get(self.app, at.path).history)

    def visit(self, url: str, endpoint: str, *cookies: str) -> Page | None:
        """Return the page at a URL if it is one; note what is wrong."""
        view = f"{endpoint.rpartition('.')[2]}()" if endpoint else "an error page"
        view += ", signed in" if any(cookies) else ""
        for cookie in dict.fromkeys(cookies or ("", self.new_cookie())):
            self.errors.clear()
            response = get(self.app, url, cookie)
            page = Page(url, endpoint, view, cookie, response, Document(response.text))
            status = response.status_code
            if status == (200 if endpoint else 404) and not response.history:
                break  # otherwise, it may be for those who have signed in
        if status >= 500 or (self.errors and not endpoint):
            reason = cause(self.errors[0]) if self.errors else "its view returned it"
            advice = f"; if it is no page, {NO_PAGE}" if endpoint else ""
            self.problems[f"fails with {max(status, 500)}: {reason}{advice}"].append(str(page))
        elif page.asks_to_sign_in() and self.is_open(page):
            self.problems[SIGN_IN].append(str(page))
        elif not endpoint and status >= 300 and status != 404:
            self.problems[f"is {response.status}: {HIDDEN}"].append(str(page))
        elif len(response.history) == MAX_REDIRECTS:
            self.problems[f"redirects without end, to {response.location}"].append(str(page))
        elif endpoint in EXAMPLES and (status >= 400 or (response.history and is_markup(response))):
            moved = f"redirects to {response.request.path}" if response.history else ""
            self.not_shown.append((page, moved or f"is {response.status}"))
        elif response.mimetype == "text/html" and not response.history:
            return page if status == (200 if endpoint else 404) else None
        return None


def examples_of(endpoint: str) -> list[dict[str, Any]]:
    """Return the examples of a route: a list, or one alone."""
    found = EXAMPLES.get(endpoint, {})
    return [found] if isinstance(found, dict) else [*found]


def build(rule: Rule, examples: dict[str, Any]) -> str | None:
    """Return a URL of a rule, unless it has arguments without an example; others are its query."""
    values = {**examples, **(rule.defaults or {})}
    if not rule.arguments <= values.keys():
        return None
    rules = rule.map.iter_rules(rule.endpoint) if rule.map else ()
    others = {name for it in rules for name in it.arguments} - rule.arguments
    query = {name: value for name, value in values.items() if name not in others}
    return (rule.build(query) or ("", None))[1]


def is_here(path: str) -> bool:
    """Return whether a file is the owner's, not a package's, and not of serving/ or the tests."""
    file = Path(path).resolve()
    others = {ROOT / "tests", PACKAGE / "serving"}.intersection(file.parents)
    is_own = not others or file.name == "examples.py"
    # Generated code has no file.
    return is_own and ROOT in file.parents and "site-packages" not in file.parts and file.is_file()


def is_own(view: Any) -> bool:
    """Return whether a view belongs to the site; a method, with all classes it is made of."""
    view = unwrap(view)
    if isinstance(view, partial):
        return True
    classes = type(view.__self__).__mro__[:-1] if hasattr(view, "__self__") else ()
    modules = [sys.modules.get(getattr(part, "__module__", "")) for part in (view, *classes)]
    return all(is_here(getattr(module, "__file__", None) or "/") for module in modules)


def cause(error: BaseException) -> str:
    """Return an exception and the site's last line that led to it."""
    lines = [frame for frame in extract_tb(error.__traceback__) if is_here(frame.filename)]
    place = f" ({Path(lines[-1].filename).name}, line {lines[-1].lineno})" if lines else ""
    return f"{type(error).__name__}: {error}{place}"


survey = cache(Survey)
