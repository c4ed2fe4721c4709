"""The cache: who may store a response, and a store that confuses no two requests."""

import time
from collections.abc import Callable, Iterator
from threading import Barrier, Thread
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
from flask import Flask, Response, redirect, request, send_file, session
from flask.testing import FlaskClient
from werkzeug.middleware.proxy_fix import ProxyFix

from blasto import serving
from blasto.serving import cache, cache_publicly

from tests.serving.conftest import make_app

PUBLIC = "public, max-age=60"


class Counted:
    """An application with one page, and how often it was rendered."""

    def __init__(self, view: Callable[[], Any], app: Flask | None = None) -> None:
        self.count, self.view = 0, view
        self.app = app or make_app()
        self.app.add_url_rule("/page", "page", self.render, methods=["GET", "POST"])
        self.client = self.app.test_client(use_cookies=False)

    def render(self) -> Any:
        self.count += 1
        return self.view()


def says(*headers: tuple[str, str], status: int = 200) -> Callable[[], Response]:
    return lambda: Response("a" * 50, status, list(headers))


def test_a_stored_response_is_the_same_but_for_its_age(client: FlaskClient) -> None:
    for encoding in ("gzip", "identity"):
        first, second = (client.get("/", headers={"Accept-Encoding": encoding}) for _ in range(2))

        assert [*second.headers] == [*first.headers, ("Age", "0")]
        assert second.data == first.data


@pytest.mark.parametrize(
    "value",
    [
        *("public, max-age=9", "max-age=9, public", "max-age=9, s-maxage=9", "s-maxage=9"),
        *("Public, Max-Age=9", "public,max-age=9,immutable", 'public, max-age="9"'),
    ],
)
def test_a_public_response_with_a_lifetime_is_rendered_once(value: str) -> None:
    page = Counted(says(("Cache-Control", value)))

    for _ in range(2):
        page.client.get("/page")

    assert page.count == 1


@pytest.mark.parametrize(
    "headers",
    [
        *([("Cache-Control", value)] for value in ("max-age=60", "public", "s-maxage=0")),
        *([("Cache-Control", f"{PUBLIC}, {word}")] for word in ("no-cache", "private", "no-store")),
        [("Cache-Control", "public, max-age=0")],
        [("Cache-Control", PUBLIC), ("Set-Cookie", "id=1")],
        [("Cache-Control", PUBLIC), ("Vary", "Cookie")],
        [("Cache-Control", PUBLIC), ("Vary", "Accept-Encoding, Accept-Language")],
        [("Cache-Control", PUBLIC), ("Vary", "*")],
        [("Cache-Control", PUBLIC), ("Vary", "Accept-Encoding"), ("Vary", "Origin")],
        [("Cache-Control", PUBLIC), ("Age", "7200")],
    ],
)
def test_any_other_response_is_not_stored(headers: list[tuple[str, str]]) -> None:
    page = Counted(says(*headers))

    responses = [page.client.get("/page") for _ in range(2)]

    assert page.count == 2
    for response in responses:
        assert response.status_code == 200
        assert len(response.headers.getlist("Age")) <= 1
        if not {"Set-Cookie", "Vary"}.isdisjoint(dict(headers)):
            assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("status", [201, 203, 301, 404, 410, 451, 500, 503])
def test_only_a_200_is_stored_and_no_error_has_a_lifetime(status: int) -> None:
    page = Counted(says(("Cache-Control", PUBLIC), status=status))

    responses = [page.client.get("/page") for _ in range(2)]

    assert page.count == 2
    assert (responses[0].headers["Cache-Control"] == "no-store") == (status >= 400)


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        *((word, word) for word in ("private", "no-store", "no-cache", "private, max-age=5")),
        *((said, "max-age=5, s-maxage=5") for said in ("max-age=5", "s-maxage=5, max-age=50")),
        ("public, max-age=500", "max-age=60, s-maxage=60"),
        (None, "max-age=60, s-maxage=60"),
    ],
)
def test_the_stricter_of_view_and_decorator_wins(said: str | None, sent: str) -> None:
    view = says(("Cache-Control", said)) if said else says()
    page = Counted(cache_publicly(seconds=60)(view))

    assert page.client.get("/page").headers["Cache-Control"] == sent


@pytest.mark.parametrize("etag", [True, False])
def test_a_file_that_a_view_sends_is_public_if_it_says_so(*, etag: bool) -> None:
    view = cache_publicly(seconds=60)(lambda: send_file(__file__, "image/png", etag=etag))
    page = Counted(view)

    assert page.client.get("/page").headers["Cache-Control"] == "max-age=60, s-maxage=60"


def test_without_a_word_nothing_is_storable(client: FlaskClient) -> None:
    response = client.get("/private", headers={"Accept-Encoding": "gzip"})

    assert response.headers["Cache-Control"] == "no-store"
    assert "ETag" not in response.headers
    assert "Content-Encoding" not in response.headers


def test_a_page_that_reads_or_writes_the_session_is_not_storable() -> None:
    def greet() -> str:
        return f"Hello {session.get('name')}"

    page = Counted(cache_publicly(seconds=60)(greet))
    visitor = page.app.test_client()
    visitor.get("/session")

    assert visitor.get("/page").text == "Hello Bo"
    response = page.client.get("/page")

    assert response.text == "Hello None"
    assert response.headers["Cache-Control"] == "no-store"


def test_a_stale_response_is_rendered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Counted(says(("Cache-Control", PUBLIC)))

    def age(now: float) -> str | None:
        for module in (cache, serving.representation):
            monkeypatch.setattr(module, "monotonic", lambda: now)
        return page.client.get("/page").headers.get("Age")

    assert [age(now) for now in (0.0, 59.9, 60.0, 119.0, 121.0)] == [None, "59", None, "59", None]


def test_several_requests_renew_a_stale_response_once(monkeypatch: pytest.MonkeyPatch) -> None:
    together = Barrier(4)

    def slow() -> Response:
        time.sleep(0.2)
        return Response("a", headers={"Cache-Control": PUBLIC})

    page = Counted(slow)
    page.client.get("/page")
    monkeypatch.setattr(cache, "monotonic", lambda: 10.0**9)
    monkeypatch.setattr(serving.representation, "monotonic", lambda: 10.0**9)

    texts = []

    def visit() -> None:
        together.wait()
        texts.append(page.app.test_client(use_cookies=False).get("/page").text)

    threads = [Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert texts == ["a"] * 4
    assert page.count == 2


@pytest.mark.parametrize(
    "different",
    [
        {"base_url": "https://localhost"},
        {"base_url": "http://other.test"},
        {"base_url": "http://localhost:81"},
        {"base_url": "http://localhost/below"},
        {"query_string": "a=b"},
        {"path": "/private"},
        {"method": "POST"},
        {"headers": {"Cookie": "a=b"}},
        {"headers": {"Authorization": "Basic eA=="}},
        {"headers": {"X-Forwarded-Prefix": "/below"}},
    ],
)
def test_a_request_that_differs_is_not_answered_from_the_store(different: dict[str, Any]) -> None:
    def echo() -> str:
        return f"{request.method} {request.url} {request.headers}"

    app = make_app()
    app.add_url_rule("/page", "page", cache_publicly(seconds=60)(echo), methods=["GET", "POST"])
    client = app.test_client(use_cookies=False)
    client.get("/page")

    response = client.open(**{"path": "/page", **different})

    assert "Age" not in response.headers


def test_credentials_leave_nothing_in_the_store() -> None:
    for header in ("Cookie", "Authorization"):
        page = Counted(says(("Cache-Control", PUBLIC)))
        page.client.get("/page", headers={header: "secret"})

        assert "Age" not in page.client.get("/page").headers


def test_what_is_immutable_is_stored_whatever_the_credentials() -> None:
    page = Counted(says(("Cache-Control", f"{PUBLIC}, immutable")))

    for header in ("Cookie", "Authorization"):
        page.client.get("/page", headers={header: "secret"})

    assert page.count == 1


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Forwarded-Prefix", "X-Script-Name"])
def test_middleware_that_changes_urls_changes_nothing_for_others(
    header: str, *, above: bool
) -> None:
    def wrap(app: Flask) -> None:
        app.wsgi_app = prefixed(ProxyFix(app.wsgi_app, x_host=1, x_prefix=1))  # type: ignore[assignment,method-assign]

    app = Flask("specimen")
    if above:
        wrap(app)
    serving.init_app(app)
    if not above:
        wrap(app)
    app.add_url_rule("/page", "page", cache_publicly(seconds=60)(lambda: request.url))
    client = app.test_client()

    client.get("/page", headers={header: "/evil"})

    assert client.get("/page").text == "http://localhost/page"


def prefixed(app: WSGIApplication) -> WSGIApplication:
    """Middleware that copies the environment."""

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        prefix = environ.get("HTTP_X_SCRIPT_NAME", "")
        return app({**environ, "SCRIPT_NAME": prefix}, start_response)

    return call


def test_a_write_to_a_url_forgets_what_is_stored_of_it() -> None:
    page = Counted(says(("Cache-Control", PUBLIC)))
    page.app.add_url_rule("/edit", "edit", lambda: redirect("/page", 303), methods=["POST"])
    page.app.add_url_rule("/bad", "bad", lambda: ("", 400), methods=["POST"])

    page.client.get("/")  # which stays
    counts = []
    for url in ("/page?a", "/edit", "/bad"):
        for target in ("/page?a", "/page"):
            page.client.get(target)
        before = page.count
        page.client.post(url)
        before += url == "/page?a"  # which renders it as well
        page.client.get("/page?a")
        page.client.get("/page")
        counts.append(page.count - before)

    assert counts == [2, 2, 0]
    assert "Age" in page.client.get("/").headers


def test_in_debug_mode_nothing_is_storable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    client = make_app().test_client()

    for _ in range(2):
        response = client.get("/")

        assert response.headers["Cache-Control"] == "no-store"
        assert "Age" not in response.headers


def test_the_oldest_are_evicted_when_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_ENTRIES", 3)
    page = Counted(says(("Cache-Control", PUBLIC)))

    for query in "abcd":
        page.client.get(f"/page?{query}")

    assert ["Age" in page.client.get(f"/page?{query}").headers for query in "dcba"] == [
        *(True, True, True),
        False,
    ]


def test_the_store_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_BYTES", 20_000)
    page = Counted(lambda: Response("a" * 10_000, headers={"Cache-Control": PUBLIC}))

    for query in "ab":
        page.client.get(f"/page?{query}")

    assert "Age" not in page.client.get("/page?a").headers
    assert "Age" not in page.client.get(f"/page?{'x' * 3000}").headers
    assert "Age" not in page.client.get(f"/page?{'x' * 3000}").headers


@pytest.mark.parametrize(
    ("length", "stored"), [("8", True), ("9", False), ("7", False), ("2000000", False), ("", False)]
)
def test_a_body_in_parts_is_stored_if_it_is_whole(length: str, *, stored: bool) -> None:
    closed = []

    def view() -> Response:
        headers = {"Cache-Control": PUBLIC, "Content-Length": length}
        response = Response(
            iter([b"in ", b"parts"]), headers=headers if length else dict([*headers.items()][:1])
        )
        response.call_on_close(lambda: closed.append(True))
        return response

    page = Counted(view)

    assert [page.client.get("/page").data for _ in range(2)] == [b"in parts"] * 2
    assert (page.count == 1) == stored
    assert len(closed) == page.count


def test_middleware_may_start_a_response_when_its_body_is_read() -> None:
    def late(app: WSGIApplication) -> Any:
        def call(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
            yield from app(environ, start_response)

        return call

    app = Flask("specimen")
    app.wsgi_app = late(app.wsgi_app)  # type: ignore[method-assign]
    serving.init_app(app)
    app.add_url_rule("/page", "page", says(("Cache-Control", PUBLIC)))

    assert [app.test_client().get("/page").text for _ in range(2)] == ["a" * 50] * 2
