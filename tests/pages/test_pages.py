"""Every page of the site and every error page, in process."""

from collections import Counter
from collections.abc import Iterator
from itertools import product
from string import ascii_lowercase
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.routing import RequestRedirect

from blasto.app import create_app

from tests.pages.examples import COOKIES, UNLINKED
from tests.sitemap import ERROR_PAGE, Document, Page, get, hold, on_site, report, survey

HEADERS = (
    *("Content-Security-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy"),
    *("Referrer-Policy", "X-Content-Type-Options"),
)
# Every language of two letters: preferred in the order of the alphabet, and in the opposite one.
LANGUAGES = ["".join(letters) for letters in product(ascii_lowercase, repeat=2)]
ACCEPT_LANGUAGE = [
    ", ".join(f"{language};q={1 - rank / 1000:.3f}" for rank, language in enumerate(languages))
    for languages in (LANGUAGES, LANGUAGES[::-1])
]


def is_public(page: Page) -> bool:
    control = page.response.cache_control
    return bool(control.max_age or control.s_maxage) and not control.private


def test_every_route_can_be_tested() -> None:
    report(survey().problems)


def one(what: str, values: list[str], where: str = "its template") -> Iterator[str]:
    """Yield a fault unless there is one value that has some text."""
    if len(values) != 1:
        yield f"has {len(values)} of {what} instead of one: see {where}"
    elif not values[0].strip():
        yield f"has an empty {what}: fill it in in {where}"


def test_the_markup_is_valid(pages: list[Page]) -> None:
    def check(page: Page) -> Iterator[str]:
        if page.document.errors:
            yield f"is not valid HTML: {'; '.join(page.document.errors)}"
        ids = Counter(page.document.attributes("*", "id"))
        if repeated := [name for name, count in ids.items() if count > 1]:
            yield f"has more than one element with the id {repeated}"

    hold(pages, check)


def test_every_page_has_one_headline(pages: list[Page]) -> None:
    hold(pages, lambda page: one("<h1>", page.document.texts("h1")))


def title(page: Page) -> list[str]:
    return page.document.texts("head/title")


def description(page: Page) -> list[str]:
    return page.document.attributes("meta[@name='description']", "content")


def test_its_title_and_description_are_its_own(pages: list[Page]) -> None:
    def check(page: Page) -> Iterator[str]:
        for find in (title, description):
            what, values = find.__name__, find(page)
            yield from one(what, values, f"{{% set {what} = … %}} in its template")
            for other in pages:
                if other.endpoint != page.endpoint and find(other) == values and any(values):
                    yield f"has the {what} of {other}: set its own in its template"
        text = "".join(title(page)).strip()
        if text != text.strip(" –-|·:"):
            yield "has no title of its own: set it with {% set title = … %} in its template"

    hold(pages, check)


def test_its_canonical_url_is_its_own(pages: list[Page]) -> None:
    def check(page: Page) -> Iterator[str]:
        links = page.document.attributes("link[@rel='canonical']", "href")
        yield from one("canonical link", links)
        same_view = [other.url for other in pages if other.endpoint == page.endpoint]
        if links and links[0] not in {f"http://localhost{url}" for url in same_view}:
            yield f"has the canonical URL {links[0]}"

    hold(pages, check)


def test_its_links_are_not_broken(pages: list[Page], app: Flask) -> None:
    def check(page: Page) -> Iterator[str]:
        for link in page.document.links(page.url):
            url, fragment = urldefrag(link)
            response = page.response if url == page.url else get(app, url, page.cookie)
            ids = Document(response.text).attributes("*", "id") if fragment else []
            broken = 400 <= response.status_code < 500 and response.status_code not in {401, 403}
            if broken and url != page.url:
                yield f"links to {link}, which is {response.status}: mend it there or in base.html"
            elif fragment and response.mimetype == "text/html" and unquote(fragment) not in ids:
                yield f"links to {link}, but {url} has no such id"

    error_page = survey().error_page
    hold([*pages, error_page] if error_page else pages, check)


def test_the_index_page_leads_to_it(pages: list[Page], app: Flask) -> None:
    url_map = app.url_map.bind("localhost")
    reached, waiting = set(UNLINKED), ["/"]
    for url in waiting:
        for cookie in {"", survey().cookie}:
            response = get(app, url, cookie)
            document = Document(response.text)
            forms = on_site(url, *document.attributes("form", "action"))
            for link in [response.request.path, *document.links(url), *forms]:
                try:
                    endpoint, _ = url_map.match(unquote(urlsplit(link).path))
                except RequestRedirect:
                    endpoint = link
                except HTTPException:
                    continue
                if endpoint not in reached:
                    reached.add(endpoint)
                    waiting += [link, *(page.url for page in pages if page.endpoint == endpoint)]

    advice = (
        "has no link to it: No chain of links leads from / to it. Add a link, such as in <nav> of"
        " base.html, or its endpoint to UNLINKED in tests/pages/examples.py"
    )
    hold(pages, lambda page: [] if page.endpoint in reached else [advice])


def test_it_has_the_security_headers_and_no_cookie(pages: list[Page]) -> None:
    def check(page: Page) -> Iterator[str]:
        headers = page.response.headers
        yield from (f"is sent without {name}" for name in HEADERS if name not in headers)
        for cookie in headers.getlist("Set-Cookie"):
            name = cookie.partition("=")[0]
            if name not in COOKIES | {survey().app.config["SESSION_COOKIE_NAME"]}:
                yield f"sets the cookie {name}: add it to COOKIES in tests/pages/examples.py"

    hold(pages, check)


def test_any_cache_may_store_it_only_if_it_is_the_same_for_everyone(pages: list[Page]) -> None:
    remedy = "remove @cache_publicly from its view function"

    def check(page: Page) -> Iterator[str]:
        headers = page.response.headers
        if page.cookie or "Set-Cookie" in headers:
            yield f"is for one visitor: {remedy}"
        if headers.get("Vary", "Accept-Encoding") != "Accept-Encoding":
            yield f"varies by {headers['Vary']}: {remedy}"
        for languages in ACCEPT_LANGUAGE:
            visit = {"User-Agent": "other", "DNT": "1", "Accept-Language": languages}
            if get(create_app(), page.url, "visitor=1", **visit).text != page.response.text:
                yield f"differs by visitor, by language or from one time to the next: {remedy}"

    hold(filter(is_public, pages), check)


def test_if_any_cache_may_store_it_it_is_compressed_and_revalidated(
    pages: list[Page], client: FlaskClient
) -> None:
    def check(page: Page) -> Iterator[str]:
        accept = {"Accept-Encoding": "gzip"}
        headers = client.get(page.url, headers=accept).headers
        matching = {**accept, "If-None-Match": headers.get("ETag", "")}
        if headers.get("Content-Encoding") != "gzip":
            yield "is public, but not compressed"
        if client.get(page.url, headers=matching).status_code != 304:
            yield "is public, but not revalidated by its ETag"

    hold(filter(is_public, pages), check)


@pytest.fixture
def error_app(app: Flask) -> Flask:
    """An application with a route for each error."""
    own = app.error_handler_spec[None].keys() & default_exceptions.keys()
    if survey().error_page is None or own:
        pytest.skip("the site's own error handlers replace error.html")
    app.config["TESTING"] = False
    app.add_url_rule("/specimen/<int:code>", "specimen", abort)
    return app


def test_every_error_has_a_page_that_says_what_to_do(error_app: Flask) -> None:
    for status in default_exceptions:
        response = error_app.test_client().get(f"/specimen/{status}")

        page = Document(response.text)
        assert response.status_code == status
        assert response.content_type == "text/html; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-store"
        assert not page.errors
        assert len(page.texts("h1")) == 1
        assert str(status) in page.texts("main")[0]
        assert page.attributes("main//a", "href"), f"the page of {status} has no link home"
        assert page.attributes("meta[@name='robots']", "content") == ["noindex"]


def test_routing_errors_have_an_error_page(error_app: Flask) -> None:
    client = error_app.test_client()

    missing, wrong_method = client.get(ERROR_PAGE), client.post("/specimen/400")

    assert (missing.status_code, wrong_method.status_code) == (404, 405)
    assert "GET" in wrong_method.headers["Allow"]
    for response in (missing, wrong_method):
        assert len(Document(response.text).texts("h1")) == 1


def test_an_exception_is_a_500_without_its_message(error_app: Flask) -> None:
    error_app.add_url_rule("/fail", "fail", lambda: str(int("a secret")))

    response = error_app.test_client().get("/fail")

    assert response.status_code == 500
    assert "secret" not in response.text


def test_a_description_passed_to_abort_is_shown_and_escaped(error_app: Flask) -> None:
    error_app.add_url_rule("/sold", "sold", lambda: abort(409, "<b>Sold out</b>"))

    assert "&lt;b&gt;Sold out&lt;/b&gt;" in error_app.test_client().get("/sold").text


def test_an_error_page_shows_the_request_id(error_app: Flask) -> None:
    def shown(sent: str) -> str:
        headers = {"X-Request-ID": sent} if sent else {}
        response = error_app.test_client().get("/specimen/500", headers=headers)
        return Document(response.text).texts("code")[0]

    of_the_router = "01234567-89ab-cdef-0123-456789abcdef"
    assert shown(of_the_router) == of_the_router
    for sent in ("", "not an ID", "short", "x" * 300):
        assert len(shown(sent)) >= 32
        assert shown(sent) not in {sent, shown(sent)}


def test_an_untrusted_host_gets_plain_text_that_does_not_repeat_it() -> None:
    client = create_app({"TRUSTED_HOSTS": ["site.test"]}).test_client()

    for _ in range(2):  # the second time, the page is in the cache
        trusted = client.get("/", base_url="http://SITE.test")
        response = client.get("/", base_url="http://evil.test")

    assert trusted.status_code < 400
    assert response.status_code == 400
    assert response.mimetype == "text/plain"
    assert "evil.test" not in response.text
    assert response.headers["Cache-Control"] == "no-store"
