"""Every page in Chromium: accessibility, layout, keyboard, colour scheme and size."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page as Tab

from tests.browser.conftest import DESKTOP, PHONE, PROBLEMS, TABLET, of_every_tab
from tests.sitemap import report

pytestmark = [pytest.mark.server, pytest.mark.browser]

SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]
RULES = ["wcag2a", "wcag2aa", "wcag2aaa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# What the tests of the same page in process report.
OTHERS = {rule: {"enabled": False} for rule in ("document-title", "page-has-heading-one")}
# All passes as well would take minutes on a page with a thousand rows.
OPTIONS = {"runOnly": RULES, "rules": OTHERS, "resultTypes": ["violations"]}
# What is reported for each pair of colours that lacks contrast, and for each row of a list.
SAMPLES: dict[str, tuple[str, list[str]]] = {}
# The innermost elements that reach beyond an edge, themselves or with their text.
OVERFLOW = """() => {
    const width = document.documentElement.clientWidth, content = document.createRange();
    const isLeft = getComputedStyle(document.body).direction === "rtl";
    if (document.documentElement.scrollWidth <= width) return [];
    const wide = [...document.body.querySelectorAll("*")].filter(element => {
        content.selectNodeContents(element);
        return [element, content].map(it => it.getBoundingClientRect())
            .some(({left, right}) => isLeft ? left < -1 : right > width + 1);
    });
    const inner = wide.filter(element => !wide.some(it => it !== element && element.contains(it)));
    const named = inner.map(it => (it.closest("table") ?? it).outerHTML.slice(0, 80));
    return named.length ? [...new Set(named)] : ["::before, ::after, ::marker, or an <input>"];
}"""
# Shows what fades in as it is in the end.
FINISH = """() => document.getAnimations()
    .filter(it => it.effect.getComputedTiming().iterations < Infinity).map(it => it.finish())"""
# Shows what a visitor unfolds, all of a group at once.
UNFOLD = """() => document.querySelectorAll("main details")
    .forEach(it => { it.removeAttribute("name"); it.open = true; })"""
# Fields that something covers, or without room for two letters. Visually hidden ones are ignored.
FIELDS = "main :is(select, textarea, input:read-write)"
CROWDED = """fields => fields.filter(it => {
    it.scrollIntoView({block: "center"});
    const {left, right, top, width, height} = it.getBoundingClientRect();
    const style = getComputedStyle(it), letter = parseFloat(style.fontSize);
    const start = left + parseFloat(style.paddingLeft);
    const end = right - parseFloat(style.paddingRight);
    const found = [start + 1, end - 1].map(x => document.elementFromPoint(x, top + height / 2));
    const narrow = end - start < letter * (it.maxLength === 1 ? 1 : 2);
    const shown = it.checkVisibility({opacityProperty: true}) && Math.min(width, height) > 3;
    return shown && (narrow || found.some(other => other && other !== it));
}).map(it => it.outerHTML)"""
SCHEME = "getComputedStyle(document.documentElement).colorScheme"
GROUND = """[document.documentElement, document.body]
    .map(it => getComputedStyle(it).background).join()"""
# Whether the keyboard does not reach the link to <main>, which is the first.
UNREACHED = """() => {
    const isFramed = document.querySelector("body > :is(header, nav) a");
    const link = isFramed && document.querySelector("a[href^='#']");
    return link && (link.tabIndex < 0 || !link.checkVisibility({visibilityProperty: true}));
}"""
FOCUS = """() => {
    const element = document.activeElement, style = getComputedStyle(element);
    const ringed = style => style.outlineStyle === "auto"  // the browser's own
        || style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    // Its box may have the ring in its place, or what is drawn beside a hidden field.
    const places = [element, element.parentElement, element.nextElementSibling];
    const ring = places.some(it => it && ringed(getComputedStyle(it)));
    const isAbove = element.getBoundingClientRect().bottom + scrollY <= 0;
    // The focus may be inside, such as on the calendar of a date, or nowhere.
    const elsewhere = element.matches("body, iframe, audio, video, :not(:focus)");
    const seen = elsewhere || (ring || style.boxShadow !== "none") && !isAbove;
    return seen ? null : element.outerHTML.slice(0, 80);
}"""


def violations(tab: Tab) -> Iterator[str]:
    """Return what axe finds; of elements with one cause, the same one every time."""
    tab.evaluate(UNFOLD)
    tab.evaluate(FINISH)
    response = Axe().run(tab, options=OPTIONS).response
    for violation in response["violations"]:
        for node in violation["nodes"]:
            html, reasons = node["html"], node["failureSummary"].splitlines()[1:]
            kind = violation["id"] + re.sub(r"\d+", "", html)
            if violation["id"].startswith("color-contrast"):
                found = node["any"][0]["data"]
                colours = f"{found['fgColor']} on {found['bgColor']}"
                contrast = f"{found['contrastRatio']}, not {found['expectedContrastRatio']}"
                reasons = [f"{colours} has a contrast of {contrast}", "see :root in style.css"]
                kind = reasons[0]
            html, reasons = SAMPLES.setdefault(kind, (html, reasons))
            yield f"breaks “{violation['help']}” in {html}: {'; '.join(map(str.strip, reasons))}"


def overflow(tab: Tab) -> Iterator[str]:
    """Return what is wider than the screen."""
    yield from (f"is wider than the screen, by {it}" for it in tab.evaluate(OVERFLOW))


def set_text_size(tab: Tab, pixels: int) -> None:
    session = tab.context.new_cdp_session(tab)  # at whose end the size would be as before
    session.send("Page.setFontSizes", {"fontSizes": {"standard": pixels}})
    tab.reload()


def test_it_loads_without_an_error() -> None:
    report(PROBLEMS)


@of_every_tab
def test_it_is_accessible_in_both_colour_schemes(tab: Tab) -> Iterator[str]:
    grounds = []
    for scheme, screen in product(SCHEMES, (PHONE, DESKTOP)):
        tab.emulate_media(color_scheme=scheme)
        tab.set_viewport_size(screen)
        tab.reload()
        yield from violations(tab)
        grounds.append(tab.evaluate(GROUND))
    tab.emulate_media(media="print")
    if grounds[0] == grounds[-1] and "light dark" in tab.evaluate(SCHEME):
        yield "has the same background in light and in dark: see color-scheme in style.css"
    elif tab.evaluate(GROUND) == grounds[-1]:
        yield "prints its dark background: see :root in style.css"


@of_every_tab
def test_it_fits_on_small_and_large_screens_and_with_large_text(tab: Tab) -> Iterator[str]:
    for screen, size in ((PHONE, 16), (PHONE, 32), (TABLET, 16), (DESKTOP, 16)):
        tab.set_viewport_size(screen)
        set_text_size(tab, size)
        tab.evaluate(UNFOLD)
        yield from overflow(tab)
        crowded = tab.locator(FIELDS).evaluate_all(CROWDED)
        where = f"{screen['width']} pixels with text of {size} pixels"
        yield from (f"has no room on {where} for {it}" for it in crowded)


@of_every_tab
def test_the_focus_is_visible(tab: Tab) -> Iterator[str]:
    controls = tab.locator(
        "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
    )
    if tab.evaluate(UNREACHED):
        yield "has a skip link that the keyboard does not reach: see style.css"
    dates = tab.locator("[type^=date], [type=time], [type=month], [type=week]")  # up to 7 parts
    for _ in range(controls.count() + 6 * dates.count()):
        tab.keyboard.press("Tab")
        if element := tab.evaluate(FOCUS):
            yield f"does not show the focus at {element}, or hides it: see style.css"
