"""Names and greetings: whatever is typed into the form is greeted, or explained in the form."""

import re
from functools import cache

import pytest
from flask.testing import FlaskClient
from hypothesis import example, given
from hypothesis import strategies as st

from blasto.app import create_app
from blasto.names import InvalidNameError, normalize
from blasto.picture import picture

from tests.conftest import require_pages
from tests.sitemap import ORIGIN, Document, on_site, survey

FAMILY = "👩\u200d👩\u200d👧\u200d👦"  # one sign to a reader, seven characters
FLAG = "\U0001f3f4"  # of England, if letters in tags follow it
# Names that are greeted as they are typed.
NAMES = [
    *("Bo", "static", "ﬁ x²", "محمد", "ゆき", "\u0301", "\ufffd", "\U0010ffff"),
    # With a meaning in paths and other parts of URLs.
    *("AC/DC", "Bo/", "/", ".", "..", "../../etc/passwd", "a/./b", "a//b"),
    *("//evil.test", "\\\\evil.test", "https://evil.test/", "?name=x&name=y#z"),
    *("%2e%2e%2f", "%ff", "100 %", "+1 and ;"),
    # With a meaning in HTML and templates.
    *("</bdi></h1><script>alert(1)</script>", "\" onmouseover='x'", "&lt;b&gt;", "{{ 7 * 7 }}"),
    # With invisible characters that emoji, Persian and Arabic numbers need.
    *(FAMILY, "❤\ufe0f", f"{FLAG}\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"),
    *("می\u200cخواهم", "\u06001\u06052\u06dd3\u070f4\u08905\u08916\u08e27\U000110bd8\U000110cd9"),
    # As long as a name may be.
    *("x" * 80, "😀" * 80),
]
# Texts that are cleaned up, and the names that are greeted.
CLEANED = {
    "  Ada \t Love\x85lace ": "Ada Love lace",
    "a\r\nLocation: //evil.test": "a Location: //evil.test",
    "e\u0301": "é",
    "e\u0301" * 80: "é" * 80,
    "\u212b": "å".upper(),
    f"{FLAG}\u200b\U000e0067": FLAG,
    "A\u030a\U000e0001\u0323": "\u1ea0\u030a",
    "B\U000e0042o": "Bo",
    "B\0o\x7f\x9b": "Bo",
    "\ufeffB\u200bo\u00ad\u2060": "Bo",
    "\u202egnp.exe\u2066": "gnp.exe",
    "\u200d Bo \u200c\u200d": "Bo",
}
# Texts that are no names: nothing, nothing that can be seen, and too much, with its length.
EMPTY = ["", " ", "\u3000\u2028"]
INVISIBLE = [
    *("\0\x1b", "\u200d", "\u202e\u202c", "\U000e0041"),
    *"\u034f\u115f\u1160\u17b4\u17b5\u180b\u180d\u180f\u2065\u2800\u3164",
    *"\ufe00\ufe0f\uffa0\ufff0\ufff8\U000e0000\U000e0100\U000e0fff",
]
LONG = {"x" * 81: "81", FAMILY * 12: "84", "ゆ" * 800: "800"}
# URLs, and those to which they redirect.
CANONICAL = {
    "/user?name=AC%2FDC": "/user/AC/DC",
    "/user/Bo/": "/user/Bo",
    "/user/e%CC%81?name=Bo": "/user/%C3%A9",
    "/user/..": "/user?name=..",
    "/user//evil.test": "/user?name=/evil.test",
    "/user?name=%25ff+%2B": "/user/%25ff%20+",
}


def get_index() -> Document:
    """Return the index page; without a link to greetings, skip the test."""
    require_pages()
    for page in survey().pages:
        links = page.document.attributes("form", "action") + page.document.links("/")
        if page.url == "/" and not page.cookie and "/user" in "".join(links):
            return page.document
    pytest.skip("nothing on / leads to greetings: take them out, as README.md says")


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    get_index()
    return create_app().test_client()


@cache
def submit(client: FlaskClient, text: str) -> Document:
    """Submit the form; return the page that greets or explains, one redirect away at most."""
    response = client.get("/user", query_string={"name": text}, follow_redirects=True)
    page = Document(response.text)
    assert response.status_code == (200 if page.texts("h1/bdi") else 400)
    assert len(response.history) <= 1
    for redirect in response.history:
        assert re.fullmatch(r"/user[!-~]*", redirect.location)
        canonical = page.attributes("link[@rel='canonical']", "href")
        assert {*canonical} <= {f"{ORIGIN}{redirect.location}"}  # a layout may have none
    return page


def has_titles(client: FlaskClient) -> bool:
    """Return whether pages have titles of their own; if not, test_pages.py says so."""
    return submit(client, "Bo").texts("head/title") != get_index().texts("head/title")


def alert(page: Document) -> str:
    (text,) = page.texts("main//*[@role='alert']")
    return text


def markup(page: Document) -> list[tuple[object, list[str]]]:
    """Return every element but <bdi> with the names of its attributes."""
    return [(it.tag, list(it.attrib)) for it in page.root.iter() if it.tag != "bdi"]


def test_the_form_takes_any_name() -> None:
    page = get_index()

    (field,) = (field.attrib for field in page.root.findall(".//input[@name='name']"))
    assert page.attributes("main//form", "action").count("/user") == 1
    assert not page.attributes("main//form[@action='/user']", "method")
    assert {"dir": "auto", "autocomplete": "name", "required": ""}.items() <= field.items()
    # Browsers count an emoji twice; a URL holds 800 characters of any script.
    assert 160 <= int(field["maxlength"]) <= 800


def test_an_example_leads_to_its_name_and_has_its_picture(client: FlaskClient) -> None:
    html = client.get("/").text

    for link in get_index().root.findall(".//a[bdi]"):
        name = link.findtext("bdi") or ""
        assert picture(name) in html
        assert Document(client.get(link.attrib["href"]).text).texts("h1/bdi") == [name]


def test_a_name_is_greeted(client: FlaskClient) -> None:
    for text, name in [*zip(NAMES, NAMES, strict=True), *CLEANED.items()]:
        page = submit(client, text)

        assert page.texts("h1/bdi") == [name]
        assert name in "".join(page.texts("head/title")) or not has_titles(client)


def test_a_greeting_has_a_picture_and_a_link_home_and_is_not_indexed(client: FlaskClient) -> None:
    response = client.get("/user/Bo")

    page = Document(response.text)
    assert page.texts("h1/bdi[@dir='auto'][@translate='no']") == ["Bo"]
    assert picture("Bo") in response.text
    assert "/" in page.attributes("p/a", "href")
    assert page.attributes("meta[@name='robots']", "content") == ["noindex"]


def test_an_invalid_name_is_explained_by_what_to_change(client: FlaskClient) -> None:
    empty, invisible, long = (
        [alert(submit(client, text)) for text in texts] for texts in (EMPTY, INVISIBLE, LONG)
    )

    assert (len({*empty}), len({*invisible})) == (1, 1)
    assert empty[0] != invisible[0]
    numbers = [{*re.findall(r"\d+", text)} for text in long]
    assert numbers == [{"80", length} for length in LONG.values()]


def test_a_screen_reader_reads_the_explanation_with_the_field(client: FlaskClient) -> None:
    page = Document(client.get("/user").text)

    (described_by,) = page.attributes("input[@name='name']", "aria-describedby")
    assert page.attributes("input[@name='name']", "aria-invalid") == ["true"]
    assert page.attributes("main//*[@role='alert']", "id")[0] in described_by.split()
    assert {*described_by.split()} <= {*page.attributes("*", "id")}
    assert page.texts("head/title") != get_index().texts("head/title") or not has_titles(client)


@given(text=st.text(max_size=90))
@example(text="a\r\nb\rc\0" * 20)
@example(text="\" onmouseover='x'><b>&lt;")
@example(text="\" onmouseover='x'><b>&lt;" * 4)  # too long, and so in the form
def test_any_text_is_greeted_or_explained_and_is_no_markup(client: FlaskClient, text: str) -> None:
    page = submit(client, text)

    if names := page.texts("h1/bdi"):
        assert names == [normalize(text)]
        assert markup(page) == markup(submit(client, "Bo"))
    else:
        # HTML parsers change line breaks and NUL ("preprocessing the input stream").
        kept = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
        assert page.attributes("main//input", "value") == [kept]
        assert markup(page) == markup(submit(client, ""))
        with pytest.raises(InvalidNameError, match=re.escape(alert(page))):
            normalize(text)


@given(rest=st.binary(max_size=40))
def test_any_path_is_answered_within_one_redirect(client: FlaskClient, rest: bytes) -> None:
    path = {"PATH_INFO": f"/user/{rest.decode('latin-1')}"}

    response = client.get("/", environ_overrides=path)
    if response.status_code == 301:
        response = client.get(response.location)

    assert response.status_code in {200, 400}


def test_a_name_has_one_url(client: FlaskClient) -> None:
    for url, canonical in CANONICAL.items():
        redirect, response = client.get(url), client.get(canonical)

        links = Document(response.text).attributes("link[@rel='canonical']", "href")
        assert (redirect.status_code, redirect.location) == (301, canonical)
        assert response.status_code == 200
        assert {*links} <= {f"{ORIGIN}{canonical}"}


def test_a_site_below_a_prefix_greets_at_its_own_urls(client: FlaskClient) -> None:
    for path in ("/", "/user/Bo"):
        response = client.get(path, environ_overrides={"SCRIPT_NAME": "/below"})

        page, url = Document(response.text), f"/below{path}"
        links = page.links(url) + on_site(url, *page.attributes("form", "action"))
        assert response.status_code == 200
        assert {*page.attributes("link[@rel='canonical']", "href")} <= {ORIGIN + url}
        fixed = [it for it in links if it.startswith(("/user", "/static"))]
        outside = [it for it in fixed if client.get(it).status_code < 400]  # others are broken
        assert not outside, f"links to {outside}, wherever the site is: use url_for()"
