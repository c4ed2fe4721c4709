"""The site in a real browser, with JavaScript and without."""

import pytest
from playwright.sync_api import Page, expect

from tests.test_user import NAMES, NOT_NAMES

pytestmark = [pytest.mark.browser, pytest.mark.server]


def submit(page: Page, text: str) -> None:
    page.get_by_label("Your name").fill(text)
    page.get_by_role("button").click()


def test_a_visitor_types_a_name_and_reads_the_greeting(page: Page) -> None:
    submit(page, "Bo")

    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Bo")
    page.get_by_role("link", name="Greet somebody else").click()
    expect(page.get_by_label("Your name")).to_be_visible()


def test_every_name_is_greeted_exactly(page: Page) -> None:
    for text, name in NAMES:
        page.goto("/")
        submit(page, text)

        # A field of one line drops line breaks itself (HTML, "strip newlines").
        if "\n" not in text:
            assert page.locator("h1 bdi").text_content() == name, text


def test_what_is_no_name_is_explained_and_kept(page: Page) -> None:
    for text in NOT_NAMES:
        page.goto("/")
        submit(page, text)

        expect(page.get_by_role("alert")).to_be_visible()
        expect(page.get_by_label("Your name")).to_have_attribute("aria-invalid", "true")
        assert page.get_by_label("Your name").input_value() == text.replace("\0", "\ufffd")
