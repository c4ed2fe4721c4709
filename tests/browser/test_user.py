"""Names and greetings in Chromium, typed into the form."""

import re
from collections.abc import Iterator
from itertools import product
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import PHONE, new_tab
from tests.browser.test_pages import SCHEMES, overflow, violations
from tests.pages.test_user import get_index
from tests.processes import Server

pytestmark = [pytest.mark.server, pytest.mark.browser]

# Browsers rewrite these in URLs or in HTML.
SPECIAL = [
    *(".", "..", "a/./b", "//evil.test", "\\\\evil.test", "?name=x&name=y#z", "%2e%2e%2f"),
    *("+1 and ;", "\" onmouseover='x'", "</bdi></h1><script>alert(1)</script>"),
]
TOWER = "Z" + "\u0300\u0316\u0301\u0317\u0302" * 15
SHOWN = ["Bo", "W" * 80, "محمد", "ゆき", "👩\u200d👩\u200d👧\u200d👦", TOWER, "i " * 39 + "i"]
# In these scripts, letters stand above and below each other.
TALL = ["ᬲ᭄ᬢ᭄ᬭᬷ", "ꦱ꧀ꦠꦿꦷ", "རྫོགས", "မြန်မာကြူ", "ಸ್ತ್ರೀ", "ស្ត្រី", "مُحَمَّدٌ", "Ǻǰ"]
SCREENS = [(320, 568), (390, 664), (768, 1024), (1280, 600), (1366, 657), (1920, 950), (844, 390)]
EXPLANATIONS = ["/user?name=", f"/user?name={'x' * 700}"]


@pytest.fixture(autouse=True)
def _index_leads_here() -> None:
    get_index()


@pytest.fixture
def tab(browser: Browser, site: Server) -> Iterator[Page]:
    with new_tab(browser, site, viewport=PHONE) as tab:
        yield tab


def greet(tab: Page, name: str) -> Locator:
    """Go to a greeting; return its name."""
    tab.goto(f"/user/{quote(name)}")
    return tab.locator("h1 bdi")


def test_without_javascript_any_name_is_typed_and_greeted(browser: Browser, site: Server) -> None:
    with new_tab(browser, site, java_script_enabled=False) as tab:
        for name in SPECIAL:
            tab.goto("/")
            tab.locator("input[name=name]").fill(name)
            tab.locator("main form button").click()
            assert tab.locator("h1 bdi").text_content() == name

        tab.locator("main a").click()

        expect(tab.locator("input[name=name]")).to_be_visible()


def test_an_explanation_is_in_view_and_its_field_has_the_focus(tab: Page) -> None:
    for url, (width, height) in product(EXPLANATIONS, SCREENS):
        tab.set_viewport_size({"width": width, "height": height})
        tab.goto(url)

        for selector in ("input[name=name]:focus", "[role=alert]"):
            box = tab.locator(selector).bounding_box()
            assert box, selector
            is_in_view = -1 < box["y"] < height - box["height"] + 1  # but for a part of a pixel
            assert is_in_view, f"{selector} is out of view on {width} x {height} pixels"


def test_explanations_are_accessible_and_fit(tab: Page) -> None:
    for url, scheme in product(EXPLANATIONS, SCHEMES):
        tab.emulate_media(color_scheme=scheme)
        tab.goto(url)

        assert [*violations(tab), *overflow(tab)] == []


def test_a_name_fits_and_paints_nothing_outside_its_box(tab: Page) -> None:
    for text in SHOWN:
        name = greet(tab, text)
        assert [*overflow(tab)] == []

        shown = tab.screenshot(full_page=True, mask=[name])
        name.evaluate("name => { name.style.visibility = 'hidden' }")

        assert tab.screenshot(full_page=True, mask=[name]) == shown, text


def test_a_name_is_whole_in_every_script(tab: Page) -> None:
    for text in TALL:
        name = greet(tab, text)

        shown = tab.screenshot(full_page=True)
        name.evaluate("name => { name.style.overflow = 'visible' }")

        assert tab.screenshot(full_page=True) == shown, f"{text} is cut off"


def test_a_picture_moves_unless_reduced_motion_is_preferred(tab: Page) -> None:
    tab.add_init_script("onpagereveal = it => { window.fades = Boolean(it.viewTransition) }")
    for preference in ("no-preference", "reduce"):
        tab.emulate_media(reduced_motion=preference)
        greet(tab, "Bo")

        moves = tab.evaluate("document.getAnimations().length > 0")
        assert moves == (preference == "no-preference")

    tab.locator("main a").click()
    tab.wait_for_url("**/")
    assert not tab.evaluate("fades")


def test_a_greeting_prints_on_one_sheet_with_no_link_but_home(tab: Page) -> None:
    for name in SHOWN:
        greet(tab, name)
        tab.evaluate("document.querySelectorAll('body > footer').forEach(it => it.remove())")

        sheets = re.findall(rb"/Type\s*/Page\b", tab.pdf(format="A5"))

        assert len(sheets) == 1, name

    more = "<a href='/'>A</a><ul><li><a href='/'>B</a></ul>"
    tab.evaluate(f'document.querySelector("nav").insertAdjacentHTML("beforeend", "{more}")')
    tab.emulate_media(media="print")
    links = tab.locator("a:visible:not(footer a)")
    assert links.count() <= 1, "style.css: links are printed"
