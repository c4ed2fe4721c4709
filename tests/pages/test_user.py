"""Names and greetings: whatever is typed into the form is greeted, or explained in the form."""

import re
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from blasto.app import create_app
from blasto.names import InvalidNameError, normalize
from blasto.picture import picture

from tests.sitemap import Document

# Greeted as they are typed.
UNCHANGED = [
    *("Bo", "static", "100 %", "+1 and ;", "ﬁ x²", "محمد", "ゆき", "\ufffd", "\U0010ffff"),
    *("AC/DC", "Bo/", "/", ".", "..", "../../etc/passwd", "a/./b", "a//b"),
    *("//evil.test", "\\\\evil.test", "https://evil.test/", "?name=x&name=y#z"),
    *("%2e%2e%2f", "%ff", "&lt;b&gt;", "{{ 7 * 7 }}", "\" onmouseover='x'"),
    "</bdi></h1><script>alert(1)</script>",
    *("👩\u200d👩\u200d👧\u200d👦", "❤\ufe0f", "می\u200cخواهم", "\u0301", "\u06dd\U000110bd1"),
    "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
    *("x" * 80, "😀" * 80),
]
CHANGED = {
    "  Ada \t Lovelace ": "Ada Lovelace",
    "a\r\nLocation: //evil.test": "a Location: //evil.test",
    "e\u0301": "é",
    "e\u0301" * 80: "é" * 80,
    "\u212b": "å".upper(),
    "\U0001f3f4\U000e0067": "\U0001f3f4",
    "B\U000e0042o": "Bo",
    "B\0o\x7f\x9b": "Bo",
    "\ufeffB\u200bo\u00ad\u2060": "Bo",
    "\u202egnp.exe\u2066": "gnp.exe",
    "\u200d Bo \u200c\u200d": "Bo",
}
# Each as typed and as greeted.
NAMES = [*((name, name) for name in UNCHANGED), *CHANGED.items()]
INVALID = [
    *("", " ", "\u3000\u2028", "\0\x1b", "\u200d", "\u202e\u202c", "\ufe0f", "\u3164", "\u2800"),
    *("\u034f\u115f", "\U000e0041", "x" * 81, "👩\u200d👩\u200d👧\u200d👦" * 12),
    "ゆ" * 800,  # as much as the field takes
]


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return create_app().test_client()


def submit(client: FlaskClient, text: str) -> TestResponse:
    """Submit the form."""
    return client.get(f"/user?name={quote(text, safe='')}", follow_redirects=True)


def as_parsed(text: str) -> str:
    """Return a text as HTML parsers read it (HTML, "preprocessing the input stream")."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def markup(page: Document) -> list[tuple[object, list[str]]]:
    """Return every element but <bdi> with the names of its attributes."""
    return [(it.tag, list(it.attrib)) for it in page.root.iter() if it.tag != "bdi"]


@pytest.mark.parametrize(("text", "name"), NAMES)
def test_a_name_is_greeted(client: FlaskClient, text: str, name: str) -> None:
    response = submit(client, text)

    page = Document(response.text)
    assert response.status_code == 200
    assert page.texts("h1/bdi") == [name]
    assert name in page.texts("title")[0]


@pytest.mark.parametrize("text", INVALID)
def test_an_invalid_name_is_explained_in_the_form(client: FlaskClient, text: str) -> None:
    response = submit(client, text)

    page = Document(response.text)
    (message,) = page.texts("*[@role='alert']")
    assert response.status_code == 400
    assert response.headers["Cache-Control"] == "no-store"
    assert page.attributes("input", "value") == [as_parsed(text)]
    assert page.attributes("input", "aria-invalid") == ["true"]
    described_by = page.attributes("input", "aria-describedby")[0].split()
    assert page.attributes("*[@role='alert']", "id")[0] in described_by
    with pytest.raises(InvalidNameError, match=re.escape(message)):
        normalize(text)


@given(text=st.text(max_size=90))
@example(text="A\u030a\U000e0001\u0323")
@example(text="\U0001f3f4\u200b\U000e0067")
def test_any_text_is_greeted_or_explained_and_adds_no_markup(
    client: FlaskClient, text: str
) -> None:
    response = submit(client, text)

    page = Document(response.text)
    assert len(response.history) <= 1
    if response.status_code == 200:
        name = normalize(text)
        assert page.texts("h1/bdi") == [name]
        assert normalize(name) == name
        assert markup(page) == markup(Document(submit(client, "Bo").text))
    else:
        assert response.status_code == 400
        assert page.attributes("input", "value") == [as_parsed(text)]
        assert markup(page) == markup(Document(submit(client, "").text))


@given(rest=st.binary(max_size=40))
def test_any_path_is_answered_within_one_redirect(client: FlaskClient, rest: bytes) -> None:
    path = {"PATH_INFO": f"/user/{rest.decode('latin-1')}"}

    response = client.get("/", environ_overrides=path)
    if response.status_code == 301:
        response = client.get(response.location)

    assert response.status_code in {200, 400}


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("/user/Bo/", "/user/Bo"),
        ("/user/%20Bo", "/user/Bo"),
        ("/user/Bo%00", "/user/Bo"),
        ("/user/e%CC%81", "/user/%C3%A9"),
        ("/user?name=Bo", "/user/Bo"),
        ("/user?name=AC%2FDC", "/user/AC/DC"),
        ("/user/Bo?name=Ann", None),
        ("/user/AC%2FDC", None),
        ("/user/AC/DC/", "/user/AC/DC"),
        ("/user/.", "/user?name=."),
        ("/user/..", "/user?name=.."),
        ("/user?name=..", None),
        ("/user?name=..%00", "/user?name=.."),
        ("/user//evil.test", "/user?name=/evil.test"),
        ("/user/%5Cevil.test", None),
        ("/user?name=%5C%5Cevil.test", "/user/%5C%5Cevil.test"),
        ("/user?name=a%0D%0ALocation:%20x", "/user/a%20Location:%20x"),
    ],
)
def test_a_name_has_one_url(client: FlaskClient, url: str, canonical: str | None) -> None:
    response = client.get(url)

    assert response.location == canonical
    assert response.status_code == (301 if canonical else 200)


@given(text=st.text())
def test_redirects_stay_on_the_site(client: FlaskClient, text: str) -> None:
    location = client.get(f"/user?name={quote(text, safe='')}").location or "/user"

    assert re.fullmatch(r"/user[!-~]*", location)


def test_a_site_below_a_prefix_greets_at_its_own_urls(client: FlaskClient) -> None:
    response = client.get("/user/Bo", environ_overrides={"SCRIPT_NAME": "/below"})

    page = Document(response.text)
    assert response.status_code == 200
    assert page.attributes("link[@rel='canonical']", "href") == ["http://localhost/below/user/Bo"]
    assert "/below/" in page.attributes("a", "href")
    assert "/" not in page.attributes("a", "href")


@pytest.mark.parametrize("url", ["/user?name=..", "/user/%E3%82%86%20%3F"])
def test_the_canonical_url_of_a_name_is_encoded(client: FlaskClient, url: str) -> None:
    page = Document(client.get(url).text)

    assert page.attributes("link[@rel='canonical']", "href") == [f"http://localhost{url}"]


def test_greetings_ask_not_to_be_indexed(client: FlaskClient) -> None:
    page = Document(client.get("/user/Bo").text)

    assert page.attributes("meta[@name='robots']", "content") == ["noindex"]


def test_a_picture_belongs_to_its_name() -> None:
    names = ("Bo", "Bob", "bo", "Ann", "ゆき")

    assert len({picture(name) for name in names}) == len(names)
    assert picture("Bo") == picture("Bo")


def test_a_picture_stays_within_its_frame() -> None:
    for number in range(100):
        stars = Document(picture(f"Name {number}")).attributes("{*}polygon", "points")

        numbers = [float(part) for star in stars for part in re.split("[ ,]", star)]
        assert max(map(abs, numbers)) <= 100
