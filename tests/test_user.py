"""The greeting: whatever is typed into the form is greeted, or explained in the form."""

from itertools import pairwise
from math import hypot
from urllib.parse import quote, unquote_to_bytes

import pytest
from flask.testing import FlaskClient
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from blasto.app import create_app
from blasto.names import InvalidNameError, canonical
from blasto.picture import burst, polar, ray

from tests.markup import Parsed

CLIENT = create_app().test_client()

# Each as typed and as greeted.
NAMES = [
    ("Bo", "Bo"),
    ("  Ada \t Lovelace ", "Ada Lovelace"),
    ("AC/DC", "AC/DC"),
    ("Bo/", "Bo/"),
    ("/", "/"),
    (".", "."),
    ("..", ".."),
    ("../../etc/passwd", "../../etc/passwd"),
    ("a/./b", "a/./b"),
    ("a//b", "a//b"),
    ("//evil.test", "//evil.test"),
    ("\\\\evil.test", "\\\\evil.test"),
    ("https://evil.test/", "https://evil.test/"),
    ("a\r\nLocation: //evil.test", "a Location: //evil.test"),
    ("?name=x&name=y#z", "?name=x&name=y#z"),
    ("100 %", "100 %"),
    ("%2e%2e%2f", "%2e%2e%2f"),
    ("%ff", "%ff"),
    ("+1 and ;", "+1 and ;"),
    ("static", "static"),
    ("{{ 7 * 7 }}", "{{ 7 * 7 }}"),
    ("</bdi></h1><script>alert(1)</script>", "</bdi></h1><script>alert(1)</script>"),
    ("\" onmouseover='x'", "\" onmouseover='x'"),
    ("&lt;b&gt;", "&lt;b&gt;"),
    ("e\u0301", "é"),
    ("\u212b", "å".upper()),
    ("محمد", "محمد"),
    ("ゆき", "ゆき"),
    ("👩\u200d👩\u200d👧\u200d👦", "👩\u200d👩\u200d👧\u200d👦"),
    ("❤\ufe0f", "❤\ufe0f"),
    ("می\u200cخواهم", "می\u200cخواهم"),
    ("\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",) * 2,
    ("\U0001f3f4\U000e0067", "\U0001f3f4"),
    ("B\U000e0042o", "Bo"),
    ("B\0o\x7f\x9b", "Bo"),
    ("\ufeffB\u200bo\u00ad\u2060", "Bo"),
    ("\u202egnp.exe\u2066", "gnp.exe"),
    ("\u200d Bo \u200c\u200d", "Bo"),
    ("\u0301", "\u0301"),
    ("\u06dd\U000110bd1", "\u06dd\U000110bd1"),
    ("\ufffd", "\ufffd"),
    ("\U0010ffff", "\U0010ffff"),
    ("x" * 80, "x" * 80),
    ("😀" * 80, "😀" * 80),
    ("e\u0301" * 80, "é" * 80),
]
NOT_NAMES = [
    "",
    " ",
    "\u3000\u2028",
    "\0\x1b",
    "\u200d",
    "\u202e\u202c",
    "\ufe0f",
    "\u3164",
    "\u2800",
    "\u034f\u115f",
    "\U000e0041",
    "x" * 81,
    "ゆ" * 800,  # as much as the field takes
    "👩\u200d👩\u200d👧\u200d👦" * 12,
]


def typed(text: str) -> TestResponse:
    """Type a text into the form."""
    return CLIENT.get(f"/user?name={quote(text, safe='')}", follow_redirects=True)


@pytest.mark.parametrize(("text", "name"), NAMES)
def test_a_name_is_greeted(text: str, name: str) -> None:
    response = typed(text)

    page = Parsed(response.text)
    assert response.status_code == 200
    assert page.text("bdi") == name
    assert page.text("h1") == f"Hello, {name}"
    assert name in page.text("title")


@pytest.mark.parametrize("text", NOT_NAMES)
def test_what_is_no_name_is_explained_in_the_form(text: str) -> None:
    response = typed(text)

    page = Parsed(response.text)
    field = page.attributes("input")
    alert = page.attributes("p", role="alert")
    assert response.status_code == 400
    assert field["value"] == text
    assert field["aria-invalid"] == "true"
    assert alert["id"] in (field["aria-describedby"] or "").split()


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("\u200b", "Please type a name: letters, digits, punctuation or emoji."),
        ("x" * 81, "That name has 81 characters. Please shorten it to 80."),
    ],
)
def test_the_explanation_says_what_to_do(text: str, advice: str) -> None:
    assert advice in typed(text).text
    with pytest.raises(InvalidNameError, match=f"^{advice}$"):
        canonical(text)


@given(st.text(max_size=90))
@example("A\u030a\U000e0001\u0323")
@example("\U0001f3f4\u200b\U000e0067")
def test_any_text_is_greeted_or_explained_and_writes_no_markup(text: str) -> None:
    response = typed(text)

    page = Parsed(response.text)
    assert len(response.history) <= 1
    if response.status_code == 200:
        assert page.text("bdi") == canonical(text)
        assert page.skeleton == GREETING.skeleton
    else:
        assert response.status_code == 400
        assert page.attributes("input")["value"] == text
        assert page.skeleton == EXPLANATION.skeleton


GREETING = Parsed(typed("Bo").text)
EXPLANATION = Parsed(typed("").text)


@given(st.text(max_size=90))
def test_a_canonical_name_is_its_own_canonical_form(text: str) -> None:
    try:
        name = canonical(text)
    except InvalidNameError:
        return

    assert canonical(name) == name


@given(st.binary(max_size=40))
def test_any_address_has_an_answer_within_one_redirect(rest: bytes) -> None:
    response = CLIENT.get("/", environ_overrides={"PATH_INFO": f"/user/{rest.decode('latin-1')}"})
    if response.status_code == 301:
        response = CLIENT.get(response.location)

    assert response.status_code in {200, 400}


@pytest.mark.parametrize(
    ("address", "canonical_address"),
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
        ("/user//evil.test", "/user?name=/evil.test"),
        ("/user/%5Cevil.test", None),
        ("/user?name=%5C%5Cevil.test", "/user/%5C%5Cevil.test"),
    ],
)
def test_a_name_has_one_address(
    client: FlaskClient, address: str, canonical_address: str | None
) -> None:
    response = client.get(address)

    assert response.location == canonical_address
    assert response.status_code == (301 if canonical_address else 200)


@given(st.text())
def test_redirects_stay_on_the_site(text: str) -> None:
    response = CLIENT.get(f"/user?name={quote(text, safe='')}")

    assert (response.location or "/user").startswith("/user")
    assert b"\n" not in unquote_to_bytes(response.location or "")


def test_a_site_below_a_prefix_does_not_redirect_in_circles(client: FlaskClient) -> None:
    above = Parsed(client.get("/user/Bo").text)
    below = client.get("/user/Bo", environ_overrides={"SCRIPT_NAME": "/below"})

    assert below.status_code == 200
    assert above.links == ["#main", "/", "/"]
    assert Parsed(below.text).links == ["#main", "/below/", "/below/"]


@pytest.mark.parametrize("target", ["\xff", "\xed\xa0\x80", "\xc0\xaf"])
def test_bytes_that_are_not_utf_8_are_a_bad_request(client: FlaskClient, target: str) -> None:
    path = client.get("/", environ_overrides={"PATH_INFO": f"/user/{target}"})
    query = client.get(f"/user?name={quote(target, encoding='latin-1')}")

    assert path.status_code == query.status_code == 400
    assert "<p>This address is not written in UTF-8.</p>" in path.text
    assert "<p>This address is not written in UTF-8.</p>" in query.text


def test_a_name_has_its_own_picture() -> None:
    pictures = {
        name: [
            tuple(attributes.values())
            for tag, attributes in Parsed(typed(name).text).elements
            if tag == "polygon"
        ]
        for name in ("Bo", "Bob", "bo", "Ann", "ゆき")
    }

    assert len(set(map(tuple, pictures.values()))) == len(pictures)
    assert typed("Bo").text == typed("Bo").text


def test_a_picture_is_three_stars_over_each_other_in_hues_next_to_each_other() -> None:
    lengths = set()
    for number in range(500):
        stars = burst(f"Name {number}")

        assert all((inner.hue - outer.hue) % 360 == 40 for outer, inner in pairwise(stars))
        assert all(0 <= star.hue < 360 for star in stars)
        for star, reach in zip(stars, (92, 64, 36), strict=True):
            corners = [hypot(*map(int, point.split(","))) for point in star.points.split(" ")]
            assert len(corners) == 24
            assert corners[1::2] == pytest.approx([0.36 * reach] * 12, abs=1)
            lengths |= {round((corner / reach - 0.4) / 0.04) for corner in corners[::2]}

    assert lengths == set(range(16))


@pytest.mark.parametrize(
    ("turn", "point"),
    [(0, "0,-100"), (1 / 8, "71,-71"), (1 / 4, "100,0"), (1 / 2, "0,100"), (3 / 4, "-100,0")],
)
def test_a_picture_is_drawn_clockwise_from_the_top(turn: float, point: str) -> None:
    assert polar(turn, 100) == point


def test_a_ray_is_its_tip_and_the_valley_half_a_ray_on() -> None:
    assert ray(1 / 4, 100, 50) == f"100,0 {polar(1 / 4 + 1 / 24, 50)}"


def test_greetings_ask_not_to_be_indexed(client: FlaskClient) -> None:
    greeting = Parsed(client.get("/user/Bo").text)
    index = Parsed(client.get("/").text)

    assert greeting.attributes("meta", name="robots")["content"] == "noindex"
    assert "robots" not in {attributes.get("name") for _, attributes in index.elements}
