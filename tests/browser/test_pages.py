"""Every page in Chromium: accessibility, layout, keyboard, colour scheme and size."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from blasto.app import create_app

from tests.browser.conftest import DESKTOP, PHONE, new_tab
from tests.processes import Server
from tests.sitemap import Page, find_pages

pytestmark = pytest.mark.server

PAGES = [*find_pages(create_app()), Page("/no/such/page", "error.html")]
RULES = ["wcag2a", "wcag2aa", "wcag2aaa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# The innermost elements beyond the right edge.
OVERFLOW = """() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    const wide = [...document.body.querySelectorAll("*")].filter(
        element => element.getBoundingClientRect().right > width + 1);
    return wide.filter(element => !wide.some(other => other !== element && element.contains(other)))
        .map(element => element.outerHTML.slice(0, 80));
}"""
BROKEN = """() => [...document.images].filter(image => !(image.complete && image.naturalWidth))
    .map(image => image.outerHTML)"""
FOCUS = """element => {
    const style = getComputedStyle(element);
    return [element.outerHTML.slice(0, 80), style.outlineStyle, parseFloat(style.outlineWidth)];
}"""


@pytest.fixture(params=PAGES, ids=lambda page: page.url)
def page(request: pytest.FixtureRequest) -> Page:
    page: Page = request.param
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_it_is_accessible_and_fits_and_loads(
    browser: Browser, site: Server, page: Page, scheme: str, screen: dict[str, object]
) -> None:
    options = {"color_scheme": scheme, "reduced_motion": "reduce", **screen}
    with new_tab(browser, site, **options) as tab:
        tab.goto(page.url)

        broken = tab.evaluate(BROKEN)
        overflow = tab.evaluate(OVERFLOW)
        report = Axe().run(tab, options={"runOnly": RULES})

    assert not broken, f"{page} has images that do not load: {broken}"
    assert not overflow, f"{page} is wider than the screen, by {overflow}"
    violations = [
        f"{violation['help']}: {node['html']}"
        for violation in report.response["violations"]
        for node in violation["nodes"]
    ]
    assert not violations, f"{page} ({scheme}): " + "\n".join(violations)


def test_the_keyboard_reaches_every_control_with_a_visible_focus(
    browser: Browser, site: Server, page: Page
) -> None:
    with new_tab(browser, site) as tab:
        tab.goto(page.url)
        controls = tab.locator("a[href], button, input:not([type=hidden]), select, textarea")
        for _ in range(controls.count()):
            tab.keyboard.press("Tab")
            html, style, width = tab.locator(":focus").evaluate(FOCUS)

            assert style != "none" and width >= 2, f"{page}: no focus can be seen on {html}"  # noqa: PT018


def test_the_skip_link_leads_to_the_content(browser: Browser, site: Server, page: Page) -> None:
    with new_tab(browser, site) as tab:
        tab.goto(page.url)
        tab.keyboard.press("Tab")
        skip = tab.locator(":focus")
        assert skip.evaluate("link => link.getBoundingClientRect().top") >= 0

        tab.keyboard.press("Enter")

        assert tab.locator("main:focus").count() == 1, f"{page} has no skip link to <main>"


def test_it_works_without_javascript(browser: Browser, site: Server, page: Page) -> None:
    with new_tab(browser, site, java_script_enabled=False) as tab:
        tab.goto(page.url)

        assert tab.locator("h1").is_visible()


def test_it_follows_the_colour_scheme(browser: Browser, site: Server, page: Page) -> None:
    colours = set()
    for scheme in ("light", "dark"):
        with new_tab(browser, site, color_scheme=scheme) as tab:
            tab.goto(page.url)
            colours.add(tab.evaluate("getComputedStyle(document.documentElement).backgroundColor"))

    assert len(colours) == 2


def test_its_first_visit_is_small(browser: Browser, site: Server, page: Page) -> None:
    with new_tab(browser, site) as tab:
        session = tab.context.new_cdp_session(tab)
        session.send("Network.enable")
        sizes: list[int] = []
        session.on("Network.loadingFinished", lambda it: sizes.append(it["encodedDataLength"]))
        tab.goto(page.url, wait_until="networkidle")

    # Ten segments of 1,460 bytes are what a server sends before the first answer (RFC 6928).
    assert 0 < sizes[0] < 14_600, f"{page} itself is {sizes[0]} bytes, compressed"
