"""The cache: who may store a response, and a store that confuses no two requests."""

import time
from collections.abc import Callable, Iterator
from threading import Barrier, Thread
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
from flask import Flask, Response, request, send_file, url_for
from flask.testing import FlaskClient
from werkzeug.middleware.proxy_fix import ProxyFix

from blasto import serving
from blasto.serving import cache, cache_publicly, representation

from tests.serving.conftest import make_app

PUBLIC = "public, max-age=60"
METHODS = ["GET", "POST"]

View = Callable[[], Any]


class Page:
    """An application with one page, and how often that was rendered."""

    def __init__(self, view: View, app: Flask | None = None, url: str = "/page") -> None:
        self.count, self.view = 0, view
        self.app = app or make_app()
        self.app.add_url_rule(url, "page", self.render, methods=METHODS)
        self.client = self.app.test_client(use_cookies=False)

    def render(self) -> Any:
        self.count += 1
        return self.view()


def says(cache_control: str | None, body: Any = "a" * 50, **headers: Any) -> View:
    """Return a view whose responses have these headers, with a list for one that is repeated."""
    status = headers.pop("status", 200)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if cache_control is not None:
        headers["Cache-Control"] = cache_control
    return lambda: Response(body, status, headers)


def is_stored(client: FlaskClient, url: str = "/page", **request: Any) -> bool:
    return "Age" in client.get(url, **request).headers


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that sets the time."""

    def set_time(now: float) -> None:
        for module in (cache, representation):
            monkeypatch.setattr(module, "monotonic", lambda: now)

    return set_time


def test_a_stored_response_is_the_same_but_for_its_age(client: FlaskClient) -> None:
    for encoding in ("gzip", "identity"):
        accept = {"Accept-Encoding": encoding}
        first, second, head = (
            client.open("/", method=method, headers=accept) for method in ("GET", "GET", "HEAD")
        )

        assert [*head.headers] == [*second.headers] == [*first.headers, ("Age", "0")]
        assert second.data == first.data


@pytest.mark.parametrize(
    "value",
    [
        *("public, max-age=9", "max-age=9, public", "max-age=9, s-maxage=9", "s-maxage=9"),
        *("Public, Max-Age=9", "public,max-age=9,immutable", 'public, max-age="9"'),
        "s-maxage=9, max-age=0",
    ],
)
def test_a_public_response_is_stored_for_its_lifetime(
    clock: Callable[[float], None], value: str
) -> None:
    page = Page(says(value, Vary=["Accept-Encoding", "Accept-Encoding"]))

    def age(now: float) -> str | None:
        clock(now)
        return page.client.get("/page").headers.get("Age")

    assert [age(now) for now in (0.0, 8.9, 9.0, 17.0, 19.0)] == [None, "8", None, "8", None]
    assert page.client.get("/page").headers["Cache-Control"] == value


@pytest.mark.parametrize(
    ("said", "more", "sent"),
    [
        *((said, {}, said) for said in ("max-age=60", "public", "s-maxage=0", "private")),
        *((f"public, {said}", {}, f"public, {said}") for said in ("max-age=0", "max-age=-9")),
        *((f"{PUBLIC}, {it}", {}, f"{PUBLIC}, {it}") for it in ("no-cache", "private", "no-store")),
        (PUBLIC, {"Age": "7200"}, PUBLIC),
        (PUBLIC, {"Set-Cookie": "id=1"}, "no-store"),
        ("private, max-age=9", {"Set-Cookie": "id=1"}, "private, max-age=9"),
        (f"{PUBLIC}, immutable", {"Set-Cookie": "id=1"}, "private, max-age=60, immutable"),
        ("s-maxage=9, max-age=5, immutable", {"Vary": "*"}, "private, max-age=5, immutable"),
        ("public, immutable", {"Vary": "*"}, "no-store"),
        *((PUBLIC, {"Vary": it}, "no-store") for it in ("Cookie", "*", "Accept-Encoding, A")),
        (PUBLIC, {"Vary": ["Accept-Encoding", "Origin"]}, "no-store"),
        *((PUBLIC, {"status": it}, PUBLIC) for it in (201, 203, 206, 301)),
        *((PUBLIC, {"status": it}, "no-store") for it in (400, 404, 410, 451, 500, 503)),
        (None, {}, "no-store"),
    ],
)
def test_any_other_response_is_not_stored(said: str, more: dict[str, Any], sent: str) -> None:
    page = Page(says(said, **more))

    responses = [page.client.get("/page") for _ in range(2)]

    assert page.count == 2
    for response in responses:
        assert response.status_code == more.get("status", 200)
        assert response.headers["Cache-Control"] == sent
        assert response.headers.getlist("Age") == ([more["Age"]] if "Age" in more else [])


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        *((said, said) for said in ("private", "no-store", "no-cache", "private, max-age=5")),
        *((said, "max-age=5, s-maxage=5") for said in ("max-age=5", "s-maxage=5, max-age=50")),
        *((said, "max-age=60, s-maxage=60") for said in ("public, max-age=500", None)),
    ],
)
def test_the_stricter_of_view_and_decorator_wins(said: str | None, sent: str) -> None:
    page = Page(cache_publicly(seconds=60)(says(said)))

    assert page.client.get("/page").headers["Cache-Control"] == sent


@pytest.mark.parametrize(
    ("options", "seconds"),
    [({}, 60), ({"mimetype": "image/png", "etag": False}, 60), ({"max_age": 5}, 5)],
)
def test_a_file_that_a_view_sends_is_public(options: dict[str, Any], seconds: int) -> None:
    page = Page(cache_publicly(seconds=60)(lambda: send_file(__file__, **options)))

    sent = page.client.get("/page").headers["Cache-Control"]
    assert sent == f"max-age={seconds}, s-maxage={seconds}"


def test_several_requests_renew_a_stale_response_once(clock: Callable[[float], None]) -> None:
    together = Barrier(4)
    page = Page(lambda: time.sleep(0.1) or says(PUBLIC)())  # type: ignore[func-returns-value]
    page.client.get("/page")
    clock(10.0**9)
    sizes = []

    def visit() -> None:
        together.wait()
        sizes.append(len(page.app.test_client(use_cookies=False).get("/page").data))

    threads = [Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sizes == [50] * 4
    assert page.count == 2


def test_a_page_that_fails_when_it_is_renewed_is_no_longer_stored(
    clock: Callable[[float], None],
) -> None:
    page = Page(says(PUBLIC))
    page.client.get("/page")
    clock(10.0**9)
    page.view = says(PUBLIC, status=500)

    assert page.client.get("/page").status_code == 500
    clock(0)
    assert page.client.get("/page").status_code == 500


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
        {"headers": {"X-Forwarded-Host": "other.test"}},
        {"headers": {"X-Forwarded-Prefix": "/below"}},
    ],
)
def test_a_request_that_differs_is_not_answered_from_the_store(different: dict[str, Any]) -> None:
    page = Page(says(PUBLIC))
    page.client.get("/page")

    response = page.client.open(**{"path": "/page", **different})

    assert "Age" not in response.headers
    assert is_stored(page.client) == (different.get("method") != "POST")


@pytest.mark.parametrize("header", ["Cookie", "Authorization"])
@pytest.mark.parametrize(("value", "stored"), [(PUBLIC, False), (f"{PUBLIC}, immutable", True)])
def test_only_what_is_immutable_is_stored_whatever_the_credentials(
    header: str, value: str, *, stored: bool
) -> None:
    page = Page(says(value))
    page.client.get("/page", headers={header: "secret"})

    assert is_stored(page.client, headers={header: "secret"}) == stored
    assert is_stored(page.client) == stored


def prefixed(app: WSGIApplication) -> WSGIApplication:
    """Middleware that copies the environment."""

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        prefix = environ.get("HTTP_X_SCRIPT_NAME", "")
        return app({**environ, "SCRIPT_NAME": prefix}, start_response)

    return call


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Forwarded-Prefix", "X-Script-Name"])
def test_middleware_that_changes_urls_changes_nothing_for_others(
    header: str, *, above: bool
) -> None:
    def wrap(app: Flask) -> None:
        app.wsgi_app = prefixed(ProxyFix(app.wsgi_app, x_host=1, x_prefix=1))  # type: ignore[assignment,method-assign]

    app = Flask("specimen")
    for step in (wrap, serving.init_app) if above else (serving.init_app, wrap):
        step(app)
    app.add_url_rule("/page", "page", cache_publicly(seconds=60)(lambda: request.url))
    client = app.test_client()

    client.get("/page", headers={header: "/evil"})

    assert client.get("/page").text == "http://localhost/page"


@pytest.mark.parametrize("root", ["", "/below"])
@pytest.mark.parametrize(
    ("method", "url", "evicts"),
    [
        ("POST", "/é?c", True),
        ("POST", "/answer/303", True),
        ("POST", "/answer/400", False),
        ("OPTIONS", "/é", False),
        ("GET", "/é?c", False),
    ],
)
def test_a_write_evicts_its_url_and_that_of_its_redirect(
    method: str, url: str, root: str, *, evicts: bool
) -> None:
    page = Page(says(PUBLIC), url="/é")

    @page.app.post("/answer/<int:status>")
    def answer(status: int) -> Response:
        return Response("", status, {"Location": url_for("page")})

    base_url = f"http://localhost{root}"
    for stored in ("/é?a", "/é", "/"):
        page.client.get(stored, base_url)

    page.client.open(url, base_url, method=method)

    after = [is_stored(page.client, it, base_url=base_url) for it in ("/é?a", "/é", "/")]
    assert after == [not evicts, not evicts, True]


def test_in_debug_mode_nothing_is_storable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    client = make_app().test_client()

    for _ in range(2):
        assert client.get("/").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("entries", "size"), [(700, 100), (15, 900_000)])
def test_the_oldest_are_evicted_when_there_is_no_room(entries: int, size: int) -> None:
    page = Page(says(PUBLIC, bytes(size), Content_Type="image/png"))
    urls = [f"/page?{number}" for number in range(entries)]

    for url in urls:
        page.client.get(url)

    stored = [is_stored(page.client, url) for url in reversed(urls)]
    assert stored == sorted(stored, reverse=True)
    assert entries / 2 < sum(stored) < entries


@pytest.mark.parametrize(
    ("url", "size", "stored"),
    [
        (f"/page?{'x' * 1800}", 10, True),
        (f"/page?{'x' * 2000}", 10, False),
        ("/page", 1_000_000, True),
        ("/page", 1_000_001, False),
    ],
)
def test_no_entry_takes_much_of_the_room(url: str, size: int, *, stored: bool) -> None:
    page = Page(says(PUBLIC, bytes(size), Content_Type="image/png", ETag='"own"'))
    page.client.get(url)

    assert is_stored(page.client, url) == stored


@pytest.mark.parametrize(("length", "stored"), [(8, True), (9, False), (7, False), (None, False)])
def test_a_body_in_parts_is_stored_if_it_is_whole(length: int | None, *, stored: bool) -> None:
    closed = []

    def view() -> Response:
        response = says(PUBLIC, iter([b"in ", b"parts"]))()
        if length:
            response.content_length = length
        response.call_on_close(lambda: closed.append(True))
        return response

    page = Page(view)

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
    page = Page(says(PUBLIC), app)

    assert [page.client.get("/page").text for _ in range(2)] == ["a" * 50] * 2
