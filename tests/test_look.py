"""Pages for every eye, thumb and ear, as a real browser renders them."""

import re
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.conftest import new_tab
from tests.processes import Process

pytestmark = [pytest.mark.browser, pytest.mark.server]

TOWER = "Z" + "\u0300\u0316\u0301\u0317\u0302" * 15
NAMES = ["Bo", "W" * 80, "محمد", "ゆき", "👩\u200d👩\u200d👧\u200d👦", TOWER, "i " * 40]
PAGES = [
    "/",
    "/user?name=",
    f"/user?name={'x' * 700}",
    "/nothing",
    *(f"/user/{quote(name.strip())}" for name in NAMES),
]
PHONE = {"viewport": {"width": 320, "height": 640}}
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
ZOOMED = {"viewport": {"width": 320, "height": 200}}  # 1280 x 800 at 400 % (WCAG 1.4.10)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_axe_finds_nothing(
    browser: Browser, site: Process, scheme: str, screen: dict[str, object]
) -> None:
    rules = ["wcag2a", "wcag2aa", "wcag2aaa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    with new_tab(browser, site, color_scheme=scheme, reduced_motion="reduce", **screen) as page:
        for target in PAGES:
            page.goto(target)

            results = Axe().run(page, options={"runOnly": rules})

            assert results.violations_count == 0, f"{target}: {results.generate_report()}"
            assert len(results.response["passes"]) > 20


@pytest.mark.parametrize("screen", [PHONE, DESKTOP, ZOOMED], ids=["phone", "desktop", "zoomed"])
def test_nothing_overflows(browser: Browser, site: Process, screen: dict[str, object]) -> None:
    with new_tab(browser, site, **screen) as page:
        for target in PAGES:
            page.goto(target)

            assert page.evaluate(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            ), target


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_name_paints_nothing_outside_its_box(
    browser: Browser, site: Process, screen: dict[str, object]
) -> None:
    with new_tab(browser, site, reduced_motion="reduce", **screen) as page:
        for name in NAMES:
            page.goto(f"/user/{quote(name.strip())}")
            box = page.locator("h1 bdi").bounding_box()
            assert box

            shown = around(page, box["y"], box["y"] + box["height"])
            page.locator("h1 bdi").evaluate("name => { name.style.visibility = 'hidden' }")

            assert around(page, box["y"], box["y"] + box["height"]) == shown, name


def around(page: Page, top: float, bottom: float) -> list[bytes]:
    """Take a picture of what is above a stripe of the page, and of what is below it."""
    width, height = page.evaluate(
        "[document.documentElement.clientWidth, document.documentElement.scrollHeight]"
    )
    return [
        page.screenshot(full_page=True, clip={"x": 0, "y": y, "width": width, "height": tall})
        for y, tall in ((0, int(top)), (int(bottom) + 1, height - int(bottom) - 1))
    ]


def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(
    browser: Browser, site: Process
) -> None:
    with new_tab(browser, site) as page:
        page.goto("/")
        stops = []
        for _ in range(5):
            page.keyboard.press("Tab")
            text, outline = page.locator(":focus").evaluate(
                "it => [it.name || it.textContent.trim(), getComputedStyle(it).outlineStyle]"
            )
            stops.append(text)
            assert outline == "solid", text

        assert stops == ["Skip to the content", "Blasto", "name", "Greet me", "Ada"]


def test_the_skip_link_skips(browser: Browser, site: Process) -> None:
    with new_tab(browser, site) as page:
        page.goto("/")
        page.keyboard.press("Tab")
        assert page.locator(".skip").evaluate("link => link.getBoundingClientRect().top") >= 0

        page.keyboard.press("Enter")
        page.keyboard.press("Tab")

        assert page.locator(":focus").get_attribute("name") == "name"


def test_a_name_from_right_to_left_is_set_so(browser: Browser, site: Process) -> None:
    with new_tab(browser, site) as page:
        page.goto("/user/محمد")
        assert page.locator("h1 bdi").evaluate("name => getComputedStyle(name).direction") == "rtl"

        page.goto("/user/Bo")
        assert page.locator("h1 bdi").evaluate("name => getComputedStyle(name).direction") == "ltr"


def test_dark_and_light_differ_and_motion_is_asked_for(browser: Browser, site: Process) -> None:
    with new_tab(browser, site, color_scheme="light", reduced_motion="no-preference") as page:
        page.goto("/user/Bo")
        light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        moving = page.evaluate("document.getAnimations().length")
    with new_tab(browser, site, color_scheme="dark", reduced_motion="reduce") as page:
        page.goto("/user/Bo")
        dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        still = page.evaluate("document.getAnimations().length")

    assert light != dark
    assert (moving, still) == (1, 0)


def test_in_forced_colours_the_form_keeps_its_edges(browser: Browser, site: Process) -> None:
    with new_tab(browser, site, forced_colors="active") as page:
        page.goto("/")
        for control in ("input", "button"):
            edge, width, paper = page.locator(control).evaluate(
                """it => [getComputedStyle(it).borderColor, getComputedStyle(it).borderWidth,
                          getComputedStyle(document.documentElement).backgroundColor]"""
            )
            assert edge != paper
            assert width == "2px"


@pytest.mark.parametrize("name", NAMES)
def test_a_greeting_prints_on_one_sheet(browser: Browser, site: Process, name: str) -> None:
    with new_tab(browser, site) as page:
        page.goto(f"/user/{quote(name.strip())}")

        sheet = page.pdf(format="A5")

    assert len(re.findall(rb"/Type\s*/Page\b", sheet)) == 1


def test_a_printed_greeting_leaves_out_the_ways_to_other_pages(
    browser: Browser, site: Process
) -> None:
    with new_tab(browser, site) as page:
        page.goto("/user/Bo")
        page.emulate_media(media="print")

        assert page.locator("h1").is_visible()
        assert not page.locator("a:visible").count()


@pytest.mark.parametrize("target", ["/", "/user/Bo", f"/user/{quote(TOWER)}", "/nothing"])
def test_a_first_visit_is_one_round_trip_for_the_page_and_little_in_all(
    browser: Browser, site: Process, target: str
) -> None:
    with new_tab(browser, site) as page:
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        received: list[int] = []
        network.on(
            "Network.loadingFinished", lambda event: received.append(event["encodedDataLength"])
        )
        page.goto(target, wait_until="networkidle")

    # Ten segments of 1,460 bytes are what a server may send before the first answer (RFC 6928).
    assert 0 < received[0] < 14_000
    assert sum(received) < 20_000
