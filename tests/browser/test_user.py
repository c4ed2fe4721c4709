"""Names and greetings in Chromium, typed into the form."""

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import DESKTOP, PHONE, new_tab
from tests.browser.test_pages import OVERFLOW, violations
from tests.pages.test_user import INVALID, NAMES
from tests.processes import Server

pytestmark = [pytest.mark.server, pytest.mark.browser]

TOWER = "Z" + "\u0300\u0316\u0301\u0317\u0302" * 15
SHOWN = ["Bo", "W" * 80, "محمد", "ゆき", "👩\u200d👩\u200d👧\u200d👦", TOWER, "i " * 39 + "i"]
# In these scripts, letters stand above and below each other.
TALL = ["ᬲ᭄ᬢ᭄ᬭᬷ", "ꦱ꧀ꦠꦿꦷ", "རྫོགས", "မြန်မာကြူ", "ಸ್ತ್ರೀ", "ស្ត្រី", "مُحَمَّدٌ", "Ǻǰ"]
SCREENS = [(320, 568), (390, 664), (768, 1024), (1280, 600), (1366, 657), (1920, 950), (844, 390)]
URLS = [*(f"/user/{quote(name)}" for name in SHOWN), "/user?name=", f"/user?name={'x' * 700}"]


@pytest.fixture(params=[True, False], ids=["JavaScript", "no JavaScript"])
def tab(request: pytest.FixtureRequest, browser: Browser, site: Server) -> Iterator[Page]:
    with new_tab(browser, site, java_script_enabled=request.param) as tab:
        tab.goto("/")
        yield tab


def submit(tab: Page, text: str) -> None:
    tab.locator("input[name=name]").fill(text)
    tab.locator("form button").click()


def test_a_visitor_types_a_name_reads_the_greeting_and_goes_back(tab: Page) -> None:
    submit(tab, "Bo")
    expect(tab.locator("h1 bdi")).to_have_text("Bo")

    tab.locator("main a").click()

    expect(tab.locator("input[name=name]")).to_be_visible()


def test_a_name_that_a_url_or_html_could_change_is_greeted_exactly(
    browser: Browser, site: Server
) -> None:
    special = set("./\\?#%&+<>\"'\0")
    with new_tab(browser, site) as tab:
        for text, name in NAMES.items():
            # A field of one line drops line breaks itself (HTML, "strip newlines").
            if special.isdisjoint(text) or "\n" in text:
                continue
            tab.goto("/")
            submit(tab, text)

            assert tab.locator("h1 bdi").text_content() == name, text


def test_an_invalid_name_is_explained_and_kept(tab: Page) -> None:
    for text in INVALID[-6:]:
        tab.goto("/")
        submit(tab, text)

        expect(tab.locator("[role=alert]")).to_be_visible()
        assert tab.locator("input[name=name]").input_value() == text.replace("\0", "\ufffd")


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_an_explanation_is_in_view_and_its_field_has_the_focus(
    browser: Browser, site: Server, width: int, height: int
) -> None:
    with new_tab(browser, site, viewport={"width": width, "height": height}) as tab:
        for url in URLS[-2:]:
            tab.goto(url)

            for selector in ("input[name=name]:focus", "[role=alert]"):
                box = tab.locator(selector).bounding_box()
                assert box, selector
                assert 0 <= box["y"] <= height - box["height"], f"{url}: {selector} is out of view"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_greetings_and_explanations_are_accessible_and_fit(
    browser: Browser, site: Server, scheme: str, screen: dict[str, object]
) -> None:
    options = {"color_scheme": scheme, "reduced_motion": "reduce", **screen}
    with new_tab(browser, site, **options) as tab:
        for url in URLS:
            tab.goto(url)

            assert violations(tab) == [], url
            assert tab.evaluate(OVERFLOW) == []


def test_a_name_paints_nothing_outside_its_box(browser: Browser, site: Server) -> None:
    with new_tab(browser, site, reduced_motion="reduce", **PHONE) as tab:
        for name in SHOWN:
            tab.goto(f"/user/{quote(name)}")
            box = tab.locator("h1 bdi").bounding_box()
            assert box

            shown = around(tab, box["y"], box["y"] + box["height"])
            tab.locator("h1 bdi").evaluate("name => { name.style.visibility = 'hidden' }")

            assert around(tab, box["y"], box["y"] + box["height"]) == shown, name


def test_a_name_is_whole_in_every_script(browser: Browser, site: Server) -> None:
    with new_tab(browser, site, reduced_motion="reduce", **DESKTOP) as tab:
        for name in TALL:
            tab.goto(f"/user/{quote(name)}")

            shown = tab.screenshot(full_page=True)
            tab.locator("h1 bdi").evaluate("name => { name.style.overflow = 'visible' }")

            assert tab.screenshot(full_page=True) == shown, f"{name} is cut off"


def around(tab: Page, top: float, bottom: float) -> list[bytes]:
    """Return screenshots of what is above a stripe of the page, and below it."""
    width, height = tab.evaluate(
        "[document.documentElement.clientWidth, document.documentElement.scrollHeight]"
    )
    return [
        tab.screenshot(full_page=True, clip={"x": 0, "y": y, "width": width, "height": tall})
        for y, tall in ((0, int(top)), (int(bottom) + 1, height - int(bottom) - 1))
    ]


@pytest.mark.parametrize(("name", "direction"), [("محمد", "rtl"), ("Bo", "ltr")])
def test_a_name_has_the_direction_of_its_script(
    browser: Browser, site: Server, name: str, direction: str
) -> None:
    with new_tab(browser, site) as tab:
        tab.goto(f"/user/{name}")

        assert tab.locator("h1 bdi").evaluate("it => getComputedStyle(it).direction") == direction


@pytest.mark.parametrize("preference", ["reduce", "no-preference"])
def test_a_picture_moves_unless_reduced_motion_is_preferred(
    browser: Browser, site: Server, preference: str
) -> None:
    with new_tab(browser, site, reduced_motion=preference) as tab:
        tab.goto("/user/Bo")

        moving = tab.evaluate("document.getAnimations().length > 0")

    assert moving == (preference == "no-preference")


def test_a_greeting_prints_on_one_sheet(browser: Browser, site: Server) -> None:
    with new_tab(browser, site) as tab:
        for name in SHOWN:
            tab.goto(f"/user/{quote(name)}")

            sheets = re.findall(rb"/Type\s*/Page\b", tab.pdf(format="A5"))

            assert len(sheets) == 1, name
