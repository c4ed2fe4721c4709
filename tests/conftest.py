"""What the tests share: the application, its processes and a browser."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, sync_playwright

from blasto.app import create_app

from tests.processes import ROOT, Process, free_port, procfile

IN_A_CHECKOUT = pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="only a git checkout knows what is committed"
)


def need(program: str, package: str) -> str:
    """Return the path of a program, or say how to get it."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    return path or lack(f"{program} is not installed: apt-get install {package}")


def lack(advice: str) -> NoReturn:
    """Skip a test that cannot run on this machine, with what to do about it; fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(advice)
    pytest.skip(advice)


@pytest.fixture
def app() -> Flask:
    return create_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="session")
def site() -> Iterator[Process]:
    """The Procfile's own command, serving."""
    with procfile(free_port()) as process:
        yield process
    assert "Traceback" not in process.output


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=need("chromium", "chromium"),
            args=["--disable-quic", "--disable-background-networking", "--disable-sync"],
        )
        yield browser
        browser.close()


@contextmanager
def new_tab(browser: Browser, site: Process, **options: Any) -> Iterator[Page]:
    """Open a tab that tolerates no dialog, 5xx, console message or other host."""
    origin = f"http://127.0.0.1:{site.port}"
    faults: list[str] = []

    def note(fault: object, *, tolerable: bool = False) -> None:
        if not tolerable:
            faults.append(str(fault))

    with browser.new_context(base_url=origin, **options) as context, context.new_page() as page:
        page.on("dialog", lambda dialog: note(dialog.message))
        page.on("pageerror", note)
        # Chromium reports there that an explanation is a 400 and an error page a 404.
        page.on("console", lambda message: note(message, tolerable="status of 40" in message.text))
        page.on("request", lambda sent: note(sent, tolerable=sent.url.startswith(f"{origin}/")))
        page.on("response", lambda answer: note(answer, tolerable=answer.status < 500))
        yield page
    assert faults == []


@pytest.fixture(params=[True, False], ids=["JavaScript", "no JavaScript"])
def page(request: pytest.FixtureRequest, browser: Browser, site: Process) -> Iterator[Page]:
    """A tab at the index page, with JavaScript and without."""
    with new_tab(browser, site, java_script_enabled=request.param) as page:
        page.goto("/")
        yield page
