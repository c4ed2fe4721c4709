"""Chromium, and tabs in which nothing may go wrong."""

import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Error, Request, ViewportSize
from playwright.sync_api import Page as Tab

from tests.processes import Server, processes_of
from tests.sitemap import Page, hold, report, survey, time_limit

PHONE: ViewportSize = {"width": 320, "height": 640}  # or 1280 pixels at 400 % (WCAG 1.4.10)
TABLET: ViewportSize = {"width": 768, "height": 1024}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
# Images of the site that arrive, but cannot be shown.
BROKEN = """() => [...document.images]
    .filter(image => image.complete && !image.naturalWidth)
    .filter(image => image.currentSrc.startsWith(location.origin))
    .filter(image => performance.getEntriesByName(image.currentSrc)[0]?.responseStatus < 400)
    .map(image => image.outerHTML)
    .concat([...document.querySelectorAll("use")]
        .filter(it => it.checkVisibility() && !it.getBBox().width && !it.getBBox().height)
        .map(it => it.outerHTML))"""
LOUD = {"assert", "error", "warning"}  # of what a script may write to the console
# Advice of the browser, and of Playwright, that is no fault of the page.
NOTICES = (
    *("[DOM]", "Autofocus processing", "Canvas2D:", "[.WebGL-"),
    "Service Worker registration blocked by Playwright",
    "Failed to execute 'postMessage' on 'DOMWindow'",  # axe's, to a frame that is blocked
)
PASSIVE = {"document", "font", "image", "media", "stylesheet"}
OTHER = (
    "is another page in another process, or when asked again: prepare() has to fill a database that"
    " all of them read, SECRET_KEY has to be a setting, and a GET may change nothing"
)
# What has gone wrong in a tab so far, and where.
PROBLEMS: dict[str, list[str]] = defaultdict(list)
# Faults of the pages, and then of the elements.
FOUND: list[str] = []


@contextmanager
def new_tab(
    browser: Browser, site: Server, page: Page | None = None, seconds: int = 60, /, **options: Any
) -> Iterator[Tab]:
    """Open a tab, which notes dialogs, errors and failed requests."""
    origin = f"http://127.0.0.1:{site.port}"
    cookie = page.cookie if page else survey().new_cookie()
    linked = [origin + link for link in page.document.links(page.url)] if page else []
    left_out: dict[str, str] = {}

    def note(problem: str, *, expected: object = False) -> None:
        if not expected:
            PROBLEMS[problem].append(str(page or tab.url))

    def note_error(text: str, url: str, kind: str = "error") -> None:
        # The status of the page itself, and of what it links to, is tested in process.
        is_status = "status of 40" in text and (not page or url in {tab.url, *linked})
        is_policy = "Content Security Policy" in text
        if is_policy:
            text += " Put it into a file in static/, or see CONTENT_SECURITY_POLICY in app.py."
        elif url != tab.url:
            text += f" ({url})"
        # A picture is no reason for a script to fail, but a library from elsewhere is.
        is_left_out = url in left_out or not (is_policy or PASSIVE.issuperset(left_out.values()))
        is_notice = kind not in LOUD or text.startswith(NOTICES)
        note(f"reports {text}", expected=is_status or is_left_out or is_notice)

    def dismiss(dialog: Dialog) -> None:
        note(f"shows a dialog: {dialog.message}")
        dialog.dismiss()

    def note_request(request: Request) -> None:
        # Without other hosts, what depends on them cannot be judged.
        if request.url.startswith("http") and not request.url.startswith(f"{origin}/"):
            left_out[request.url] = request.resource_type
            leads_there = request.is_navigation_request() and not request.frame.parent_frame
            note(f"leads to {request.url}", expected=not leads_there)

    options |= {"extra_http_headers": {"Accept-Language": ""}}  # as in process
    options |= {"reduced_motion": "reduce"}  # a transition that is aborted is a script error
    with browser.new_context(base_url=origin, **options) as context, context.new_page() as tab:
        tab.set_default_timeout(10_000)
        tab.on("dialog", dismiss)
        tab.on("request", note_request)
        tab.on(
            "response", lambda it: note(f"loads {it.url}: {it.status}", expected=it.status < 500)
        )
        tab.on("pageerror", lambda error: note_error(f"a script error: {error}", tab.url))
        tab.on("console", lambda it: note_error(it.text, it.location["url"], it.type))
        if cookie:
            name, _, value = cookie.partition("=")
            context.add_cookies([{"name": name, "value": value, "url": origin}])
        session = browser.new_browser_cdp_session()
        group = session.send("SystemInfo.getProcessInfo")["processInfo"][0]["id"]
        session.detach()
        with time_limit(seconds, partial(kill_renderers, group)):
            yield tab


def kill_renderers(group: int) -> None:
    """End a page that is stuck in a script, for which Playwright waits without end."""
    for pid in processes_of(group):
        with suppress(OSError):  # it ended meanwhile
            if "--type=renderer" in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def loaded(browser: Browser, site: Server) -> list[Page]:
    """Load each page once; return those that do, and note what goes wrong."""
    loaded: list[Page] = []
    error_page = survey().error_page
    for page in filter(None, [error_page, *survey().shown()]):
        try:
            with new_tab(browser, site, page, 20) as tab:
                response = tab.goto(page.url)
                tab.wait_for_timeout(300)  # for scripts that begin later
                faults = [f"has a broken image: {it}" for it in tab.evaluate(BROKEN)]
                moved = response and response.request.redirected_from
                if not response or moved or response.status != page.response.status_code:
                    faults.append(OTHER)
            loaded.append(page)
        except Error as error:
            stuck = "it is stuck in a script" if "crashed" in error.message else error.message
            faults = [f"does not load: {stuck.splitlines()[0]}"]
        for fault in faults:
            PROBLEMS[fault].append(str(page))
        if error_page not in [None, *loaded]:
            break
    return loaded


@pytest.fixture(autouse=True)
def _nothing_new_goes_wrong(request: pytest.FixtureRequest, loaded: list[Page]) -> Iterator[None]:
    if not loaded and request.function.__name__ != "test_it_loads_without_an_error":
        pytest.skip("no page loads: see test_it_loads_without_an_error")
    if FOUND and request.path.name != "test_pages.py":
        pytest.skip(f"the cause may be the same; first fix what {FOUND[0]}")
    before = {*PROBLEMS}
    yield
    report({problem: places for problem, places in PROBLEMS.items() if problem not in before})


def of_every_tab(check: Callable[[Tab], Iterable[str]]) -> Callable[..., None]:
    """Make a test of a check, which each page has to pass in a tab of its own."""

    def test(browser: Browser, site: Server, loaded: list[Page]) -> None:
        def visit(page: Page) -> Iterator[str]:
            try:
                with new_tab(browser, site, page) as tab:
                    tab.goto(page.url)
                    for fault in check(tab):
                        FOUND.append(fault)
                        yield fault
            except Error as error:
                slow = "takes more than a minute to test: is it too large?"
                yield slow if "crashed" in error.message else error.message.splitlines()[0]

        hold(loaded, visit)

    return test
