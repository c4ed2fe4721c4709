"""Every page of the site and every error page, in process."""

import re
from collections import Counter
from urllib.parse import urldefrag

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from werkzeug.exceptions import default_exceptions

from blasto.app import create_app

from tests.sitemap import Document, Page, find_pages

PAGES = find_pages(create_app())


@pytest.fixture(params=PAGES, ids=lambda page: page.url)
def page(request: pytest.FixtureRequest) -> Page:
    page: Page = request.param
    return page


@pytest.fixture
def document(page: Page, client: FlaskClient) -> Document:
    response = client.get(page.url)
    assert response.status_code == 200, f"{page} fails with {response.status}: see the log"
    return Document(response.text)


def one(page: Page, what: str, values: list[str], where: str = "its template") -> str:
    """Return the only value, which has some text."""
    assert len(values) == 1, f"{page} has {len(values)} of {what} instead of one: see {where}"
    assert values[0].strip(), f"{page} has an empty {what}: fill it in in {where}"
    return values[0]


def test_the_markup_is_valid(page: Page, document: Document) -> None:
    ids = Counter(document.attributes("*", "id"))

    assert not document.errors, f"{page} is not valid HTML: {'; '.join(document.errors)}"
    repeated = [name for name, count in ids.items() if count > 1]
    assert not repeated, f"{page} has more than one element with the id {repeated}"


def test_it_has_one_headline(page: Page, document: Document) -> None:
    one(page, "<h1>", document.texts("h1"))


def titles(document: Document) -> list[str]:
    return document.texts("head/title")


def descriptions(document: Document) -> list[str]:
    return document.attributes("meta[@name='description']", "content")


def test_its_title_and_description_are_its_own(
    page: Page, document: Document, client: FlaskClient
) -> None:
    for what, find in {"title": titles, "description": descriptions}.items():
        value = one(page, what, find(document), f"{{% set {what} = … %}} in its template")
        for other in PAGES:
            if other != page:
                assert value not in find(Document(client.get(other.url).text)), (
                    f"{page} has the {what} of {other}: set its own in its template"
                )


def test_its_title_is_more_than_the_name_of_the_site(page: Page, document: Document) -> None:
    title = "".join(titles(document))

    assert title.strip(" –-|·:").strip() == title.strip(), (
        f"{page} has no title of its own: set it with {{% set title = … %}} in its template"
    )


def test_its_canonical_url_is_its_own(page: Page, document: Document) -> None:
    url = one(page, "canonical link", document.attributes("link[@rel='canonical']", "href"))

    assert url == f"http://localhost{page.url}", f"{page} has the canonical URL {url}"


def test_its_links_are_not_broken(page: Page, document: Document, client: FlaskClient) -> None:
    broken = []
    for link in document.links(page.url):
        url, fragment = urldefrag(link)
        response = client.get(url, follow_redirects=True, buffered=True)
        if response.status_code >= 400:
            broken.append(f"{link}, which is {response.status}")
        elif fragment and fragment not in Document(response.text).attributes("*", "id"):
            broken.append(f"{link}, but {url} has no such id")

    assert not broken, (
        f"{page} links to {'; '.join(broken)}: fix it in its template or in base.html"
    )


def test_the_index_page_leads_to_it(page: Page, client: FlaskClient) -> None:
    reached, waiting = set(), {"/"}
    while waiting:
        url = waiting.pop()
        reached.add(url)
        response = client.get(url, follow_redirects=True, buffered=True)
        if response.mimetype == "text/html" and url in {"/", *(page.url for page in PAGES)}:
            waiting |= {urldefrag(link)[0] for link in Document(response.text).links(url)} - reached

    assert page.url in reached, (
        f"No chain of links leads from / to {page}: add a link, such as in <nav> of base.html"
    )


def test_it_has_the_security_headers_and_no_cookie(page: Page, client: FlaskClient) -> None:
    headers = client.get(page.url).headers

    for name in (
        "Content-Security-Policy",
        "Cross-Origin-Opener-Policy",
        "Cross-Origin-Resource-Policy",
        "Referrer-Policy",
        "X-Content-Type-Options",
    ):
        assert name in headers, f"{page} is sent without {name}"


def test_any_cache_may_store_it_only_if_it_is_the_same_for_everyone(
    page: Page, app: Flask, client: FlaskClient
) -> None:
    headers = client.get(page.url).headers
    if "s-maxage" not in headers["Cache-Control"]:
        return

    other = create_app().test_client(use_cookies=False)
    visit = {"Cookie": "visitor=1", "Accept-Language": "fa", "User-Agent": "other", "DNT": "1"}
    theirs = other.get(page.url, headers=visit)

    remedy = "remove @cache_publicly from its view function"
    assert "Set-Cookie" not in headers, f"{page} sets a cookie: {remedy}"
    assert headers["Vary"] == "Accept-Encoding", f"{page} varies by {headers['Vary']}: {remedy}"
    assert theirs.text == app.test_client().get(page.url).text, (
        f"{page} differs by visitor or from one time to the next: {remedy}"
    )


def test_if_any_cache_may_store_it_it_is_compressed_and_revalidated(
    page: Page, client: FlaskClient
) -> None:
    accept = {"Accept-Encoding": "gzip"}
    response = client.get(page.url, headers=accept)
    if "s-maxage" not in response.headers["Cache-Control"]:
        return

    again = client.get(page.url, headers={**accept, "If-None-Match": response.headers["ETag"]})

    assert response.headers["Content-Encoding"] == "gzip"
    assert again.status_code == 304


@pytest.mark.parametrize("status", default_exceptions)
def test_an_error_page_says_what_to_do(app: Flask, status: int) -> None:
    app.add_url_rule("/specimen", "specimen", lambda: abort(status))
    client = app.test_client()

    response = client.get("/specimen")

    page, index = Document(response.text), Document(client.get("/").text)
    assert response.status_code == status
    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert not page.errors
    assert len(page.texts("h1")) == 1
    assert str(status) in page.texts("main")[0]
    assert "/" in page.attributes("main//a", "href")
    assert page.attributes("link[@rel='stylesheet']", "href")
    assert page.root.attrib == index.root.attrib


@pytest.mark.parametrize(
    ("method", "url", "status"), [("GET", "/no/page", 404), ("POST", "/", 405)]
)
def test_routing_errors_have_an_error_page(
    client: FlaskClient, method: str, url: str, status: int
) -> None:
    response = client.open(url, method=method)

    assert response.status_code == status
    assert len(Document(response.text).texts("h1")) == 1


def test_an_exception_is_a_500_without_its_message(app: Flask) -> None:
    app.add_url_rule("/specimen", "specimen", lambda: str(int("a secret")))

    response = app.test_client().get("/specimen")

    assert response.status_code == 500
    assert "secret" not in response.text


def test_a_description_passed_to_abort_is_shown_and_escaped(app: Flask) -> None:
    app.add_url_rule("/specimen", "specimen", lambda: abort(404, "<b>Sold out</b>"))

    response = app.test_client().get("/specimen")

    assert "&lt;b&gt;Sold out&lt;/b&gt;" in response.text


@pytest.mark.parametrize("sent", [None, "not an ID", "x" * 300])
def test_an_error_page_shows_a_new_request_id_without_one_from_the_router(
    client: FlaskClient, sent: str | None
) -> None:
    page = Document(client.get("/no/page", headers={"X-Request-ID": sent} if sent else {}).text)

    assert re.fullmatch("[0-9a-f]{32}", page.texts("code")[0])


def test_an_error_page_shows_the_request_id_of_the_router(client: FlaskClient) -> None:
    sent = "01234567-89ab-cdef-0123-456789abcdef"

    page = Document(client.get("/no/page", headers={"X-Request-ID": sent}).text)

    assert page.texts("code")[0] == sent


def test_an_untrusted_host_gets_plain_text_that_does_not_repeat_it() -> None:
    client = create_app({"TRUSTED_HOSTS": ["site.test"]}).test_client()

    for _ in range(2):  # the second time, the page is in the cache
        trusted = client.get("/", base_url="http://SITE.test")
        response = client.get("/", base_url="http://evil.test")

    assert trusted.status_code == 200
    assert response.status_code == 400
    assert response.mimetype == "text/plain"
    assert "evil.test" not in response.text
    assert response.headers["Cache-Control"] == "no-store"
