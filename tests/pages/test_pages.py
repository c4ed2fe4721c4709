"""Every page of the site, whoever added it, keeps these promises."""

from collections import Counter
from urllib.parse import urldefrag

import pytest
from flask import Flask
from flask.testing import FlaskClient
from justhtml import JustHTML

from blasto.app import create_app

from tests.sitemap import Page, attributes, find_pages, links, parse

PAGES = find_pages(create_app())


@pytest.fixture(params=PAGES, ids=lambda page: page.url)
def page(request: pytest.FixtureRequest) -> Page:
    page: Page = request.param
    return page


@pytest.fixture
def document(page: Page, client: FlaskClient) -> JustHTML:
    response = client.get(page.url)
    assert response.status_code == 200, f"{page} fails with {response.status}: see the log"
    return parse(response.text)


def one(page: Page, what: str, values: list[str], where: str = "its template") -> str:
    """Return the only value, which has some text."""
    assert len(values) == 1, f"{page} has {len(values)} of {what}; {where} has to make it one"
    assert values[0].strip(), f"{page} has an empty {what}: fill it in in {where}"
    return values[0]


def test_the_markup_is_valid(page: Page, document: JustHTML) -> None:
    errors = [f"{error.code} in line {error.line} of the page" for error in document.errors]
    ids = Counter(attributes(document, "[id]", "id"))

    assert not errors, f"{page} is not valid HTML: {'; '.join(errors)}"
    repeated = [name for name, count in ids.items() if count > 1]
    assert not repeated, f"{page} has more than one element with the id {repeated}"


def test_it_has_one_headline(page: Page, document: JustHTML) -> None:
    one(page, "<h1>", [heading.to_text() for heading in document.query("h1")])


def titles(document: JustHTML) -> list[str]:
    return [title.to_text() for title in document.query("head title")]


def descriptions(document: JustHTML) -> list[str]:
    return attributes(document, "meta[name=description]", "content")


def test_its_title_and_description_are_its_own(
    page: Page, document: JustHTML, client: FlaskClient
) -> None:
    for what, find in {"title": titles, "description": descriptions}.items():
        value = one(page, what, find(document), f"{{% set {what} = … %}} in its template")
        for other in PAGES:
            if other != page:
                assert value not in find(parse(client.get(other.url).text)), (
                    f"{page} has the {what} of {other}: set its own in its template"
                )


def test_its_title_is_more_than_the_name_of_the_site(page: Page, document: JustHTML) -> None:
    title = document.query("head title")[0].to_text(strip=False)

    assert title.strip(" –-|·:").strip() == title.strip(), (
        f"{page} has no title of its own: set it with {{% set title = … %}} in its template"
    )


def test_its_canonical_url_is_its_own(page: Page, document: JustHTML) -> None:
    url = one(page, "canonical link", attributes(document, "link[rel=canonical]", "href"))

    assert url == f"http://localhost{page.url}", f"{page} has the canonical URL {url}"


def test_its_links_lead_somewhere(page: Page, document: JustHTML, client: FlaskClient) -> None:
    for link in links(document, page.url):
        url, fragment = urldefrag(link)
        response = client.get(url, follow_redirects=True, buffered=True)
        assert response.status_code < 400, f"{page} links to {link}, which is {response.status}"
        if fragment and response.mimetype == "text/html":
            ids = attributes(parse(response.text), "[id]", "id")
            assert fragment in ids, f"{page} links to {link}, but {url} has no such id"


def test_the_index_page_leads_to_it(page: Page, client: FlaskClient) -> None:
    reached, waiting = set(), {"/"}
    while waiting:
        url = waiting.pop()
        reached.add(url)
        response = client.get(url, follow_redirects=True, buffered=True)
        if response.mimetype == "text/html" and url in {"/", *(page.url for page in PAGES)}:
            waiting |= {urldefrag(link)[0] for link in links(parse(response.text), url)} - reached

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
    if not headers["Cache-Control"].startswith("public"):
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
    if not response.headers["Cache-Control"].startswith("public"):
        return

    again = client.get(page.url, headers={**accept, "If-None-Match": response.headers["ETag"]})

    assert response.headers["Content-Encoding"] == "gzip"
    assert again.status_code == 304
