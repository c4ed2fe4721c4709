"""What an owner writes without a class, in Chromium."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import render_template_string
from playwright.sync_api import Browser, Page

from blasto.app import create_app

from tests.browser.conftest import DESKTOP, FOUND, PHONE, new_tab
from tests.browser.test_pages import overflow, set_text_size, violations
from tests.processes import Server

pytestmark = [pytest.mark.server, pytest.mark.browser]

ELEMENTS = """{% extends "base.html" %}{% set title = "Elements" %}{% block main %}
<h1>Elements</h1><p><code>Code</code>, <kbd>key</kbd>, <mark>mark</mark>, <small>fine print</small>,
<a href="/">link</a>.
<figure><pre>{{ "unbroken" * 20 }}</pre><figcaption>A caption</figcaption></figure>
<details open><summary>A summary</summary>Details</details><blockquote>A quotation</blockquote>
<dl><dt>A term<dd>Its meaning</dl><hr><p role="alert">An alert<p role="status">A status
<table><caption>Prices</caption><tr><th>Bread<th>Weight<th>Price<th>Per kilogram
<tr><td>Sourdough with walnuts<td>1,000 g<td>6.50<td>6.50</table>
<div role="region" aria-label="A table" tabindex="0"><table>{{ ("<th>Word" * 20) | safe }}</table>
</div><div class="cards"><p>One</p><p>Two</p></div>
<label hidden>Hidden</label>
<form><label for="on">On</label><input id="on" value="text" placeholder="A placeholder">
<label for="off">Off</label><input id="off" value="text" disabled>
<p><button id=button>Send</button><button id=dim disabled>Send</button><input id=submit type=submit>
<fieldset><legend>Boxes</legend><p><label><input type="checkbox"> In its label</label>
<p><label>In its label <input type="checkbox"></label>
<p><input type="checkbox" id="a"><label for="a">Before its label</label>
<p><label for="b">After its label</label> <input type="checkbox" id="b">
<p id="mixed"><label><input type="checkbox"> One</label>
<input type="checkbox" id="c"><label for="c">Two</label></fieldset>
<label>File <input type="file"></label><label>Choice <select><option>{{ "Option " * 20 }}</select>
</label></form><video width="640" controls></video><iframe width="640" title="A frame"></iframe>
{% endblock %}"""
# Shown as a value, a placeholder is text whose contrast axe looks at.
SHOW_PLACEHOLDERS = """() => document.querySelectorAll("[placeholder]").forEach(field => {
    const {color, opacity} = getComputedStyle(field, "::placeholder");
    Object.assign(field.style, {color, opacity});
    field.value = field.placeholder;
})"""
STYLES = """all => all.map(it => getComputedStyle(it)).map(
    it => [it.color, it.backgroundColor, it.opacity, it.borderRadius, it.height].join())"""
APART = """() => [...document.querySelectorAll("fieldset p")].filter(it => {
    const text = document.createRange(), box = it.querySelector("input").getBoundingClientRect();
    text.selectNodeContents(it.querySelector("label"));
    const {top, bottom} = text.getBoundingClientRect();
    return bottom - top > 2 * box.height || bottom < box.top || top > box.bottom;
}).map(it => it.textContent)"""
ARE_BESIDE = """([one, two]) =>
    one.getBoundingClientRect().top === two.getBoundingClientRect().top"""
BROKEN_WORDS = """all => all.filter(it => {
    const range = document.createRange();
    range.selectNodeContents(it);
    return !/\\s/.test(it.textContent.trim()) && range.getClientRects().length > 1;
}).map(it => it.textContent)"""


@pytest.fixture(params=[("light", PHONE), ("dark", DESKTOP)], ids=["phone", "desktop"])
def tab(request: pytest.FixtureRequest, browser: Browser, site: Server) -> Iterator[Page]:
    scheme, screen = request.param
    with create_app().test_request_context("/"):
        html = render_template_string(ELEMENTS)
    options: dict[str, Any] = {"color_scheme": scheme, "viewport": screen}
    with new_tab(browser, site, service_workers="block", **options) as tab:
        tab.route("**/elements", lambda route: route.fulfill(body=html, content_type="text/html"))
        tab.goto("/elements")
        yield tab


def test_elements_without_a_class_look_right(tab: Page) -> None:
    set_text_size(tab, 32)
    wide = [*overflow(tab)]
    broken = tab.locator("h1").evaluate_all(BROKEN_WORDS)
    large, *_ = tab.locator("main form > [id]").evaluate_all(STYLES)
    set_text_size(tab, 16)
    on, off, button, dim, submit = tab.locator(
        "main form > [id], main form > p > [id]"
    ).evaluate_all(STYLES)
    apart = tab.evaluate(APART)
    broken += tab.locator("th, td").evaluate_all(BROKEN_WORDS)
    tab.evaluate(SHOW_PLACEHOLDERS)
    FOUND.extend([*wide, *violations(tab)])
    are_beside = tab.locator(".cards > p").evaluate_all(ARE_BESIDE)
    share_a_line = tab.locator("#mixed input").evaluate_all(ARE_BESIDE)

    assert not FOUND, f"style.css: {FOUND}"
    assert submit == button, "style.css: a submit input does not look like a button"
    assert large != on, "style.css: a field does not grow with its visitor's size of text"
    assert off != on, "style.css: a disabled field looks like any other"
    assert dim != button, "style.css: a disabled button looks like any other"
    assert not apart, f"style.css: these are not on the line of their checkbox: {apart}"
    assert not share_a_line, "style.css: two boxes are on one line"
    assert not broken, f"style.css: these words are broken: {broken}"
    assert are_beside == (tab.viewport_size == DESKTOP), "style.css: .cards waste room or have none"
    assert not tab.locator("[hidden]:visible").count(), "style.css: what is hidden is shown"
