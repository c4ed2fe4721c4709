"""Chromium, and tabs in which nothing may go wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from tests.conftest import require_program, skip_or_fail
from tests.processes import Server

PHONE = {"viewport": {"width": 320, "height": 640}}  # or 1280 pixels at 400 % (WCAG 1.4.10)
DESKTOP = {"viewport": {"width": 1280, "height": 800}}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = require_program("chromium", "chromium")
    try:
        playwright = sync_playwright().start()
    except Exception as error:  # noqa: BLE001  # whatever its driver lacks, it is not the site's fault
        skip_or_fail(f"Playwright's driver does not start ({error}): run apt-get install chromium")
    try:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--disable-quic", "--disable-background-networking", "--disable-sync"],
        )
    except Error as error:
        playwright.stop()
        skip_or_fail(f"Chromium does not start: {error.message.splitlines()[0]}")
    yield browser
    browser.close()
    playwright.stop()


@contextmanager
def new_tab(browser: Browser, site: Server, **options: Any) -> Iterator[Page]:
    """Open a tab; at its end, fail if the page showed a dialog, an error or another host."""
    origin = f"http://127.0.0.1:{site.port}"
    problems: list[str] = []

    def note(problem: object, *, expected: bool = False) -> None:
        if not expected:
            problems.append(f"{page.url}: {problem}")

    with browser.new_context(base_url=origin, **options) as context, context.new_page() as page:
        page.on("dialog", lambda dialog: note(f"dialog: {dialog.message}"))
        page.on("pageerror", lambda error: note(f"script error: {error}"))
        # Chromium reports an error page of the site there as well.
        page.on(
            "console", lambda it: note(f"console: {it.text}", expected="status of 40" in it.text)
        )
        page.on("request", lambda it: note(f"loads {it.url}", expected=it.url.startswith(origin)))
        page.on("response", lambda it: note(f"{it.url}: {it.status}", expected=it.status < 500))
        yield page
    assert not problems, "\n".join(problems)
