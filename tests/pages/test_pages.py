"""Every page of the site and every error page, in process."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatch
from functools import cache
from itertools import product
from string import ascii_lowercase
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urldefrag, urljoin, urlsplit
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, ParseError

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from werkzeug.exceptions import BadRequest, HTTPException, default_exceptions
from werkzeug.routing import RequestRedirect
from werkzeug.test import TestResponse

from blasto import serving
from blasto.app import create_app

from tests.pages.examples import COOKIES, UNLINKED
from tests.sitemap import (
    ORIGIN,
    Document,
    Page,
    build,
    examples_of,
    get,
    is_markup,
    of_every_page,
    of_the_error_page_too,
    on_site,
    pages,
    report,
    survey,
)

# Every two-letter language, preferred in alphabetical and in reverse order.
LANGUAGES = ["".join(letters) for letters in product(ascii_lowercase, repeat=2)]
ACCEPT_LANGUAGE = [
    ", ".join(f"{language};q=0.{weight}" for weight, language in enumerate(languages, 100))
    for languages in (LANGUAGES, LANGUAGES[::-1])
]
RIGHT_TO_LEFT = {"ar", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"}
OTHER = {
    **{"DNT": "1", "HX-Request": "true", "Referer": f"{ORIGIN}/?", "X-Requested-With": "XHR"},
    **{"User-Agent": "iPhone Android Mobile", "X-Forwarded-For": "203.0.113.1"},
}
# Attributes that name other elements.
NAMING = (
    *("for", "form", "aria-labelledby", "aria-describedby", "commandfor", "list"),
    "popovertarget",
)
LIBRARIES = ("data-", "hx-", "x-", "v-", "@", ":")  # attributes of forms
SECRET = ("@type='password'", "@name='csrf_token'")
# Form fields, and the types that they have by default.
TYPES = {"button": "submit", "input": "text", "select": "", "textarea": ""}
BUTTONS = {"submit", "image", "button", "reset"}
WRITTEN = (400, 404, 405, 413, 500)  # errors that error.html explains in words of its own


def test_every_route_can_be_tested() -> None:
    report(survey().problems)


@of_the_error_page_too
def test_its_markup_is_valid_with_a_headline_and_needs_no_javascript(page: Page) -> Iterator[str]:
    if any(map(str.strip, page.document.texts("main") or page.document.texts("body"))):
        yield from one("<h1>", page.document.texts("h1"))
    else:
        yield "is empty without JavaScript: its content belongs into {% block main %}"
    viewports = page.document.attributes("meta[@name='viewport']", "content")
    if "width=device-width" not in "".join(viewports):
        yield "does not adapt to the width of a phone: see <meta name=viewport> in base.html"
    language, direction = (page.document.root.get(it, "") for it in ("lang", "dir"))
    if language.partition("-")[0] in RIGHT_TO_LEFT and not direction:
        yield f'is written from right to left: use <html lang="{language}" dir="rtl">'
    if page.document.errors:
        yield f"is not valid HTML: {'; '.join(page.document.errors)}"
    before = [page.document.attributes(f"body/{it}//a", "href") for it in ("header", "nav")]
    is_framed = any(before) and page.document.texts("main")  # without it, axe says so
    if is_framed and not page.document.attributes("a", "href")[0].startswith("#"):
        yield "has no skip link to <main> as its first link: see base.html"
    ids = Counter(page.document.attributes("*", "id"))
    if repeated := [name for name, count in ids.items() if count > 1]:
        yield f"has more than one element with the id {repeated}"
    for name in NAMING:
        named = " ".join(page.document.attributes("*", name)).split()
        if missing := [it for it in named if it not in ids]:
            yield f"has no element with the id {missing}, which {name} names"


def one(what: str, values: list[str], where: str = "its template") -> Iterator[str]:
    """Yield a fault unless there is one value that has some text."""
    if len(values) != 1:
        yield f"has {len(values)} of {what} instead of one: see {where}"
    elif not values[0].strip():
        yield f"has an empty {what}: fill it in in {where}"


@cache
def titles(page: Page) -> dict[str, list[str]]:
    """Return the titles and the descriptions of a page."""
    descriptions = page.document.attributes("meta[@name='description']", "content")
    return {"title": page.document.texts("head/title"), "description": descriptions}


@of_every_page
def test_its_title_and_description_are_its_own(page: Page) -> Iterator[str]:
    for what, values in titles(page).items():
        yield from one(what, values, f"{{% set {what} = … %}} in its template")
        for other in pages():
            if other.endpoint != page.endpoint and titles(other)[what] == values and any(values):
                yield f"have the same {what}, “{values[0]}”: set its own in each template"
        text = "".join(values).strip()
        if what == "title" and text != text.strip(" –-|·:"):
            yield "has no title of its own: set it with {% set title = … %} in its template"


@of_every_page
def test_its_canonical_url_and_social_preview_are_its_own(page: Page) -> Iterator[str]:
    links = page.document.attributes("link[@rel='canonical']", "href")
    yield from one("canonical link", links)
    same = [other.url for other in pages() if other.endpoint == page.endpoint]
    own = {f"{ORIGIN}{it}" for url in same for it in (url, quote(unquote(url)))}
    shown = page.document.attributes("meta[@property='og:url']", "content")
    path, _, query = f"{ORIGIN}{page.url}".partition("?")
    for url in {*links, *shown} - own:
        # It may leave out what only sorts or filters.
        is_part = {*parse_qsl(urlsplit(url).query)} <= {*parse_qsl(query)}
        if url.partition("?")[0] != path or not is_part:
            yield f"has the canonical URL {url}"
    for text in page.document.attributes("meta[@property]", "content"):
        if text.startswith("/"):
            yield f"has {text} in a <meta property>, where a whole URL belongs"


@cache
def follow(url: str, cookie: str) -> TestResponse:
    """Request each URL once for each cookie: most pages share most links."""
    return get(survey().app, url, cookie)


@of_the_error_page_too
def test_its_links_are_not_broken(page: Page) -> Iterator[str]:
    for link in page.document.links(page.url):
        url, fragment = urldefrag(link)
        fragment = "" if fragment.lower() == "top" else fragment.partition(":~:")[0]
        response = page.response if url == page.url else follow(url, page.cookie)
        if response.history:
            response = follow(url, survey().new_cookie())
        target = Document(response.text if fragment else "")
        ids = target.attributes("*", "id") + target.attributes("a", "name")
        broken = response.status_code >= 400 and response.status_code not in {401, 403}
        if broken and url not in {page.url, *survey().failing}:
            yield f"links to {link}, which is {response.status}: fix it there or in base.html"
        elif is_markup(response, "xml") and not response.content_encoding:
            try:
                ET.fromstring(response.data)  # noqa: S314  # the site has written it
            except ParseError as error:
                yield f"links to {link}, which is not valid XML: {error}"
        elif fragment and response.mimetype == "text/html" and unquote(fragment) not in ids:
            yield f"links to {link}, but {url} has no such id"
    texts = "".join(page.document.texts("a"))
    for link in page.document.attributes("a", "href"):
        if link.strip().lower().startswith("javascript:"):
            yield f"links to {link}, which browsers block: use a <button>"
        elif re.match(r"https?://(localhost|127\.0\.0\.1):", link) and link not in texts:
            yield f"links to {link}, which is on your machine: use url_for()"


@of_every_page
def test_its_forms_are_accepted(page: Page) -> Iterator[str]:
    for form in page.document.root.findall(".//form"):
        method = "POST" if form.get("method", "").lower() == "post" else "GET"
        is_whole = form.get("enctype") == "multipart/form-data" or method == "GET"
        if form.findall(".//input[@type='file']") and not is_whole:
            yield 'sends no file: its form needs enctype="multipart/form-data"'
        yield from losses(page, form)
        buttons = form.findall(".//*[@formaction]")
        others = [it.get("formaction", "") for it in buttons if "formmethod" not in it.attrib]
        for url in on_site(page.url, form.get("action") or page.url, *others):
            if not is_taken(page, url, method):
                fix = "fix its action, or the methods of that view"
                yield f"has a form for {url}, which no view takes by {method}: {fix}"
            elif method == "POST":
                yield from refusal(survey().app, page, form, url)
    for method in ("get", "post", "put", "patch", "delete"):  # of htmx
        for url in on_site(page.url, *page.document.attributes("*", f"hx-{method}")):
            if not is_taken(page, url, method.upper()):
                yield f"has hx-{method} for {url}, which no view takes: fix it"


def is_taken(page: Page, url: str, method: str) -> bool:
    """Return whether a view takes a method, without calling it."""
    client = survey().app.test_client(use_cookies=False)
    response = client.options(url, headers={"Cookie": page.cookie})
    return response.status_code != 404 and method in response.headers.get("Allow", method)


def parts_of(page: Page, form: Element) -> list[Element]:
    """Return the elements in a form, and those that name it as theirs."""
    return [*form.iter(), *page.document.root.findall(f".//*[@form='{form.get('id', '')}']")]


def losses(page: Page, form: Element) -> Iterator[str]:
    """Yield the reasons why input is lost, or visible to others."""
    method, action = form.get("method", "get").lower(), form.get("action") or page.url
    name = f"has a form for {action}"
    if method not in {"get", "post", "dialog"}:
        yield f'{name} with method="{method}", for which browsers use GET'
    if method == "get" and any(form.findall(f".//input[{it}]") for it in SECRET):
        yield f'{name} that shows a password or a token in its URL: it needs method="post"'
    url = urljoin(ORIGIN + page.url, action)
    policy = page.response.headers.get("Content-Security-Policy", "")
    allowed = policy.partition("form-action ")[2].partition(";")[0].split()
    is_allowed = url.startswith(f"{ORIGIN}/") or any(fnmatch(url, f"*{it}*") for it in allowed)
    if allowed and not is_allowed:
        origin = "/".join(url.split("/")[:3])
        advice = f'add {{"form-action": ["{origin}"]}} to CONTENT_SECURITY_POLICY in app.py'
        yield f"{name}, which browsers block: {advice}"
    if method == "dialog" or may_be_scripted(page, form):
        return
    off = [it for part in form.iter() if "disabled" in part.attrib for it in part.iter()]
    parts = [it for it in parts_of(page, form) if it.tag in TYPES and it not in off]
    kinds = [it.get("type", "").lower() or TYPES[it.tag] for it in parts]
    typed = [it for it, kind in zip(parts, kinds, strict=True) if kind not in {*BUTTONS, "hidden"}]
    if len(typed) > 1 and {"submit", "image"}.isdisjoint(kinds):
        yield f"{name} without a <button> in it that sends it"
    if any(not it.get("name") and "readonly" not in it.attrib for it in typed):
        yield f"{name} with a field that is not sent: it has no name, nor data- for a script"


def may_be_scripted(page: Page, form: Element) -> bool:
    """Return whether a script that is not the layout's, or a library's attribute, may send it."""
    layout = survey().error_page
    everywhere = layout.document.scripts() if layout else set()
    around = [it for it in page.document.root.iter() if form in it.iter()]
    names = {name for part in (*around, *parts_of(page, form)) for name in part.attrib}
    is_marked = any(name.startswith(LIBRARIES) for name in names)
    return is_marked or bool(page.document.scripts() - everywhere)


def refusal(app: Flask, page: Page, form: Element, url: str) -> Iterator[str]:
    """Yield why a form is rejected before its view, such as for a missing token."""
    inputs = [it for it in parts_of(page, form) if it.tag == "input" and "name" in it.attrib]
    fields = {it.get("name"): it.get("value", "") for it in inputs}
    cookies = [page.cookie, *page.response.headers.getlist("Set-Cookie")]
    headers = {"Cookie": cookies[-1].partition(";")[0], "Referer": ORIGIN + page.url}
    with app.test_request_context(url, method="POST", data=fields, headers=headers):
        try:
            app.preprocess_request()
        except BadRequest as error:
            advice = "see “A form by POST” in README.md"
            yield f"has a form for {url}, which is rejected: {error.description} {advice}"
        except HTTPException:
            pass  # such as for who has not signed in


@of_every_page
def test_requests_of_monitors_and_crawlers_do_not_fail(page: Page) -> Iterator[str]:
    app, headers = survey().app, {"Cookie": page.cookie or "a=b"}  # which keeps the cache out
    status = app.test_client(use_cookies=False).head(page.url, headers=headers).status_code
    if status >= 400:
        yield f'is {status} for HEAD: ask for request.method == "POST", not == "GET"'
    paths = [urldefrag(link).url.partition("?") for link in page.document.links(page.url)]
    odd = [
        f"{path}?{'&'.join(f'{name}={value}' for name in parse_qs(query))}"
        for path, _, query in paths
        for value in ("x", "0")
        if query
    ]
    for values, rule in product(examples_of(page.endpoint), app.url_map.iter_rules(page.endpoint)):
        for name, value in values.items():  # one at a time: the first would hide the others
            for unknown in (10**9, "no-such", re.sub("[a-z0-9]", "0", str(value))):
                with suppress(Exception):  # of a converter that takes no such value
                    odd += [url for url in [build(rule, {**values, name: unknown})] if url]
    for url in odd:
        if follow(url, page.cookie).status_code >= 500:
            yield f"leads to {url}, which fails with 500: answer 400 or 404"


@cache
def reached() -> set[str]:
    """Return the endpoints to which links and forms lead from the index page."""
    url_map = survey().app.url_map.bind("localhost")
    found, waiting = set(UNLINKED), ["/"]
    for url in waiting:
        for cookie in {"", survey().new_cookie()}:
            response = follow(url, cookie)
            document = Document(response.text)
            forms = on_site(url, *document.attributes("form", "action"))
            for link in [response.request.path, *document.links(url), *forms]:
                try:
                    endpoint, _ = url_map.match(unquote(urlsplit(link).path))
                except RequestRedirect:
                    endpoint = link
                except HTTPException:
                    continue
                if endpoint not in found:
                    found.add(endpoint)
                    waiting += [link, *(page.url for page in pages() if page.endpoint == endpoint)]
    return found


@of_every_page
def test_the_index_page_leads_to_it(page: Page) -> Iterator[str]:
    if page.endpoint not in reached():
        yield (
            "cannot be reached from / by links: add a link, such as in <nav> of base.html, or add"
            " its endpoint to UNLINKED in tests/pages/examples.py"
        )


@of_every_page
def test_it_has_the_security_headers_and_no_cookie(page: Page) -> Iterator[str]:
    headers = page.response.headers
    expected = ("Content-Security-Policy", *serving.headers.HEADERS)
    yield from (f"is sent without {name}" for name in expected if name not in headers)
    for cookie in headers.getlist("Set-Cookie"):
        name = cookie.partition("=")[0]
        if name not in COOKIES | {survey().app.config["SESSION_COOKIE_NAME"]}:
            yield f"sets the cookie {name}: add it to COOKIES in tests/pages/examples.py"


@of_every_page
def test_it_is_public_only_if_the_same_for_all_and_then_compressed(page: Page) -> Iterator[str]:
    remedy = "remove @cache_publicly from its view function"
    cookies = "; ".join(f"{name}=1" for name in ("visitor", *COOKIES))
    headers, control = page.response.headers, page.response.cache_control
    if page.cookie:
        app = create_app()
        own, next_visitors = get(app, page.url, page.cookie).text, get(app, page.url).text
        if own == next_visitors != get(create_app(), page.url).text:
            yield "is sent to the next visitor too: Flask-Caching, or another, stores it"
    if control.private or not (control.max_age or control.s_maxage):
        return
    is_own = page.cookie and get(create_app(), page.url).text != page.response.text
    if is_own or "Set-Cookie" in headers:
        yield f"is for one visitor: {remedy}"
    if headers.get("Vary", "Accept-Encoding") != "Accept-Encoding":
        yield f"varies by {headers['Vary']}: {remedy}"
    for languages in ACCEPT_LANGUAGE:
        visit = {"Accept-Language": languages, **OTHER}
        if get(create_app(), page.url, cookies, **visit).text != page.response.text:
            yield f"differs by visitor, by language or from one time to the next: {remedy}"
            return
    accept = {"Accept-Encoding": "gzip"}
    headers = get(survey().app, page.url, **accept).headers
    matching = {**accept, "If-None-Match": headers.get("ETag", "")}
    if headers.get("Content-Encoding") != "gzip":
        yield "is public, but not compressed"
    if get(survey().app, page.url, **matching).status_code != 304:
        yield "is public, but not revalidated by its ETag"


def own_handlers(app: Flask) -> set[type[Exception]]:
    """Return the errors for which the site has handlers of its own."""
    handlers = [it for found in app.error_handler_spec[None].values() for it in found.items()]
    return {it for it, handler in handlers if not handler.__module__.startswith(serving.__name__)}


@pytest.fixture
def failing_client(app: Flask) -> FlaskClient:
    """A client of the site with a route for each error."""
    app.config["TESTING"] = False
    host = urlsplit(ORIGIN).netloc if app.url_map.host_matching else None
    app.add_url_rule("/specimen/<int:code>", "specimen", abort, host=host)
    app.add_url_rule("/sold", "sold", lambda: abort(404, "<b>Sold out</b>"), host=host)
    app.add_url_rule("/fail", "fail", lambda: str(int("s3cr3t")), host=host)
    client = app.test_client(use_cookies=False)
    client.environ_base["HTTP_COOKIE"] = survey().new_cookie()
    return client


@pytest.fixture
def error_client(failing_client: FlaskClient) -> FlaskClient:
    needed = {Exception, HTTPException, default_exceptions[404], default_exceptions[500]}
    if own_handlers(failing_client.application) & needed:
        pytest.skip("the site's own error handlers replace error.html")
    if failing_client.get("/specimen/404").status_code != 404:
        pytest.skip("a handler of every URL hides the error pages from the tests")
    return failing_client


def test_an_error_is_no_success(failing_client: FlaskClient) -> None:
    own = own_handlers(failing_client.application)
    for path, code in (("/specimen/404", 404), ("/fail", 500)):
        if own.intersection(default_exceptions[code].__mro__):
            status = failing_client.get(path).status_code
            advice = f"return the status too, as in: return render_template(…), {code}"
            assert status != 200, f"the site's handler of {code} answers 200: {advice}"


def test_every_error_has_a_page_that_says_what_to_do(error_client: FlaskClient) -> None:
    request_id = "01234567-89ab-cdef-0123-456789abcdef"
    own = own_handlers(error_client.application)
    known = Document(error_client.get("/specimen/404").text).errors  # reported above
    for status, error in default_exceptions.items():
        if error in own:
            continue
        response = error_client.get(f"/specimen/{status}", headers={"X-Request-ID": request_id})

        page = Document(response.text)
        headline, text = ("".join(page.texts(it)) for it in ("h1", "body"))
        assert response.status_code == status
        assert len(page.errors) <= len(known), f"the page of {status} is no HTML: {page.errors}"
        assert (request_id in text) == (status >= 500), "the request ID is for the site's faults"
        if status in WRITTEN:
            assert headline != error(None).name, f"error.html has no headline for {status}"
            assert str(error.description) not in text, f"error.html has no text for {status}"
        if page.texts("main"):  # without it, axe says so
            assert page.attributes("main//a", "href"), f"the page of {status} has no link home"
        robots = page.attributes("meta[@name='robots']", "content")
        assert robots == ["noindex"], "error.html is not noindex: see {% block robots %} in it"


def test_an_error_page_shows_what_abort_is_told_but_no_exception(error_client: FlaskClient) -> None:
    sold, failed = error_client.get("/sold"), error_client.get("/fail")

    assert (sold.status_code, failed.status_code) == (404, 500)
    told = "".join(Document(sold.text).texts("body"))
    assert "<b>Sold out</b>" in told, "error.html does not show error.description of abort()"
    assert "s3cr3t" not in failed.text
