"""The cache: who may store a response, and a store that confuses no two requests."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from threading import Event
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from flask import Flask, Request, Response, g, redirect, request, send_file, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask.testing import FlaskClient

from blasto.serving import cache, cache_publicly, representation

from tests.serving.conftest import Patch, View, serve

PUBLIC = "public, max-age=60"

Clock = Callable[[float], None]


def says(cache_control: str | None, body: Any = "a" * 50, status: int = 200, **more: Any) -> View:
    """Return a view whose responses have these headers; a list is for one that is repeated."""
    headers = more if cache_control is None else {"Cache-Control": cache_control, **more}
    return lambda: Response(body, status, headers)


def is_stored(client: FlaskClient, url: str = "/", **request: Any) -> bool:
    return "Age" in client.get(url, **request).headers


@pytest.fixture
def clock(monkeypatch: Patch) -> Clock:
    """Return a function that sets the time."""

    def set_time(now: float) -> None:
        for module in (cache, representation):
            monkeypatch.setattr(module, "monotonic", lambda: now)

    return set_time


STORED = [
    *("public, max-age=9", "max-age=9, public", "max-age=9, s-maxage=9", "s-maxage=9"),
    *("Public, Max-Age=9", "public,max-age=9,immutable", 'public, max-age="9"'),
    "s-maxage=9, max-age=0",
]


@pytest.mark.parametrize("value", STORED)
def test_a_public_response_is_stored_for_its_lifetime(clock: Clock, value: str) -> None:
    client = serve(says(value, Vary=["Accept-Encoding", "Accept-Encoding"]))

    for now, age in ((0, None), (8.9, "8"), (9, None), (17, "8"), (19, None)):
        clock(now)
        headers = client.get("/").headers
        assert (headers.get("Age"), headers["Cache-Control"]) == (age, value)


NOT_STORED = [
    *((said, {}, said) for said in ("max-age=60", "public", "s-maxage=0", "private")),
    *((f"public, {said}", {}, f"public, {said}") for said in ("max-age=0", "max-age=-9")),
    *((f"{PUBLIC}, {it}", {}, f"{PUBLIC}, {it}") for it in ("no-cache", "private", "no-store")),
    (PUBLIC, {"Age": "7200"}, PUBLIC),
    (PUBLIC, {"Content-Encoding": "br"}, PUBLIC),  # which the site has chosen for one client
    (PUBLIC, {"Set-Cookie": "id=1"}, "no-store"),
    ("private, max-age=9", {"Set-Cookie": "id=1"}, "private, max-age=9"),
    (f"{PUBLIC}, immutable", {"Set-Cookie": "id=1"}, "private, max-age=60, immutable"),
    ("s-maxage=9, max-age=5, immutable", {"Vary": "*"}, "private, max-age=5, immutable"),
    ("public, immutable", {"Vary": "*"}, "no-store"),
    *((PUBLIC, {"Vary": "*", "status": it}, "private, max-age=60") for it in (206, 304)),
    *((PUBLIC, {"Vary": it}, "no-store") for it in ("Cookie", "*", "Accept-Encoding, A")),
    (PUBLIC, {"Vary": ["Origin", "Accept-Encoding"]}, "no-store"),
    *((PUBLIC, {"status": it}, PUBLIC) for it in (201, 203, 206, 301)),
    *((PUBLIC, {"status": it}, "no-store") for it in (400, 404, 410, 500, 503)),
    (None, {}, "no-store"),
]


@pytest.mark.parametrize(("said", "more", "sent"), NOT_STORED)
def test_any_other_response_is_not_stored(said: str, more: dict[str, Any], sent: str) -> None:
    client = serve(says(said, **more))

    for _ in range(2):
        response = client.get("/")

        assert response.status_code == more.get("status", 200)
        assert response.headers["Cache-Control"] == sent
        assert response.headers.getlist("Age") == ([more["Age"]] if "Age" in more else [])


def test_the_stricter_of_view_and_decorator_wins() -> None:
    def sent(view: View) -> str:
        return serve(cache_publicly(seconds=60)(view)).get("/").headers["Cache-Control"]

    file = partial(send_file, __file__)
    for said in ("private", "no-store", "no-cache", "private, max-age=5"):
        assert sent(says(said)) == said
    for view in (says("max-age=5"), says("s-maxage=5, max-age=50"), partial(file, max_age=5)):
        assert sent(view) == "max-age=5, s-maxage=5"
    for view in (says("public, max-age=500"), says(None), file, partial(file, etag=False)):
        assert sent(view) == "max-age=60, s-maxage=60"


def test_a_page_that_depends_on_cookies_languages_or_types_is_not_public() -> None:
    def theme() -> str:
        return request.cookies.get("theme", "light")

    def note_theme(*_: object) -> None:
        g.theme = theme()

    def add_theme(response: Response) -> Response:
        response.data += theme().encode()
        return response

    class Sessions(SecureCookieSessionInterface):
        def open_session(self, _app: Flask, request: Request) -> SecureCookieSession:
            return SecureCookieSession(request.cookies)

        def save_session(self, *_: object) -> None:
            pass

    for before, view, header in (
        (None, theme, "Cookie"),
        (lambda app: app.url_value_preprocessor(note_theme), lambda: g.theme, "Cookie"),
        (lambda app: app.after_request(add_theme), lambda: "", "Cookie"),
        (lambda app: setattr(app, "session_interface", Sessions()), lambda: str(session), "Cookie"),
        (None, lambda: str(request.accept_languages), "Accept-Language"),
        (None, lambda: str(request.accept_mimetypes), "Accept"),
    ):
        for secret in (None, "secret"):  # with a key, Flask itself reads the cookies
            page = cache_publicly(seconds=60)(view)
            response = serve(page, before=before, SECRET_KEY=secret).get("/")

            assert response.headers["Cache-Control"] == "no-store"
            assert header in response.headers["Vary"]


def test_several_requests_renew_a_stale_response_once(clock: Clock) -> None:
    numbers = count()

    def view() -> Response:
        time.sleep(0.05)
        return says(PUBLIC, str(next(numbers)))()

    app = serve(view).application
    app.test_client().get("/")
    clock(10.0**9)

    with ThreadPoolExecutor(4) as visitors:
        pages = [*visitors.map(lambda _: app.test_client().get("/").text, range(4), timeout=10)]

    assert pages == ["1"] * 4


def test_a_renewal_that_hangs_holds_up_nobody_else(clock: Clock, monkeypatch: Patch) -> None:
    monkeypatch.setattr(cache, "MAX_WAIT", 0.05)
    begun, end = Event(), Event()
    numbers = count()

    def view() -> Response:
        number = next(numbers)
        if number == 1:
            begun.set()
            end.wait(10)
        return says(PUBLIC, str(number))()

    app = serve(view).application
    app.test_client().get("/")
    clock(10.0**9)

    with ThreadPoolExecutor() as visitors:
        hanging = visitors.submit(lambda: app.test_client().get("/").text)
        begun.wait(10)
        pages = [app.test_client().get("/").text for _ in range(2)]
        end.set()

    assert pages == ["2", "2"]
    assert hanging.result() == "1"


def test_a_page_that_fails_when_it_is_renewed_is_no_longer_stored(clock: Clock) -> None:
    statuses = iter((200, 500, 500))
    client = serve(lambda: Response("", next(statuses), {"Cache-Control": PUBLIC}))

    for now, status in ((0, 200), (10.0**9, 500), (0, 500)):
        clock(now)
        assert client.get("/").status_code == status


DIFFERENCES = [
    *({"base_url": f"http://{it}"} for it in ("other.test", "localhost:81", "localhost/below")),
    {"base_url": "https://localhost"},
    {"query_string": "a=b"},
    {"path": "/nothing"},
    {"method": "POST"},
    {"data": "a=b"},
    *({"headers": {name: "a=b"}} for name in ("Cookie", "Authorization", "Origin")),
    *({"headers": {f"X-Forwarded-{name}": "/other"}} for name in ("Host", "Prefix", "Proto")),
]


@pytest.mark.parametrize("different", DIFFERENCES)
def test_a_request_that_differs_is_not_answered_from_the_store(different: dict[str, Any]) -> None:
    client = serve(says(PUBLIC))
    client.get("/")

    response = client.open(**{"path": "/", **different})

    assert "Age" not in response.headers
    assert is_stored(client) == ("method" not in different)


def test_head_is_rendered_as_get() -> None:
    client = serve(cache_publicly(seconds=60)(lambda: request.method))

    assert client.head("/").headers["Content-Length"] == "3"
    assert client.get("/").text == "GET"
    posted = client.post("/")
    assert (posted.text, posted.headers["Cache-Control"]) == ("POST", "no-store")


def test_with_credentials_or_a_body_only_public_immutable_responses_are_stored() -> None:
    for name, value, sent in (
        ("Cookie", PUBLIC, PUBLIC),
        ("Cookie", f"{PUBLIC}, immutable", f"{PUBLIC}, immutable"),
        ("Authorization", "max-age=60", "private, max-age=60"),
        ("Authorization", PUBLIC, "private, max-age=60"),
        ("Authorization", f"{PUBLIC}, immutable", "private, max-age=60, immutable"),
        ("Transfer-Encoding", PUBLIC, PUBLIC),
    ):
        client, secret = serve(says(value)), {name: "secret"}
        response = client.get("/", headers=secret)
        stored = "public" in sent and "immutable" in sent

        assert response.headers["Cache-Control"] == sent
        assert is_stored(client, headers=secret) == stored
        assert is_stored(client) == stored
        assert is_stored(client, headers=secret) == ("immutable" in sent)


def test_an_application_may_write_its_body() -> None:
    def old(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [("Cache-Control", PUBLIC), ("Content-Length", "5")])
        write(environ["PATH_INFO"].encode())
        return [b"body"]

    client = serve(before=lambda app: setattr(app, "wsgi_app", old))

    assert client.get("/").text == "/body"


def test_a_file_is_stored_only_by_a_view_that_says_so() -> None:
    client = serve(lambda: send_file(__file__, max_age=60))
    client.get("/")

    assert not is_stored(client)


def add_middleware(app: Flask) -> None:
    """Change URLs by a header, in a copy of the environment, and start when the body is read."""
    inner = app.wsgi_app

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        prefix = environ.get("HTTP_X_SCRIPT_NAME", "")
        yield from inner({**environ, "SCRIPT_NAME": prefix}, start_response)

    app.wsgi_app = call


def test_middleware_that_changes_urls_changes_nothing_for_others() -> None:
    page = cache_publicly(seconds=60)(lambda: request.url)
    inside, around = serve(page, before=add_middleware), serve(page)
    add_middleware(around.application)

    for client in (inside, around):
        client.get("/", headers={"X-Script-Name": "/evil"})

        assert client.get("/").text == "http://localhost/"


WRITES = [
    *((write, True) for write in ("POST /é?c", "POST /?status=303")),
    *((write, False) for write in ("POST /?status=400", "OPTIONS /é", "GET /é?c")),
]


@pytest.mark.parametrize(("write", "evicts"), WRITES)
def test_a_write_invalidates_its_url_and_its_location(write: str, *, evicts: bool) -> None:
    client = serve(lambda: redirect(url_for("/é"), int(request.args["status"])))
    method, url = write.split()
    urls, base = ("/é?a", "/é", "/other"), "http://localhost/below"
    for rule in ("/é", "/other"):
        client.application.add_url_rule(rule, rule, says(PUBLIC), methods=["GET", "POST"])
    for stored in urls:
        client.get(stored, base)

    client.open(url, base, method=method)

    assert [is_stored(client, it, base_url=base) for it in urls] == [not evicts, not evicts, True]


@pytest.mark.parametrize(("url", "stored"), [("/", False), ("/other", True)])
def test_a_page_that_a_write_to_it_has_overtaken_is_not_stored(url: str, *, stored: bool) -> None:
    def view() -> Response:
        if request.method == "GET":
            client.post(url)
        return says(PUBLIC)()

    client = serve(view)
    client.application.add_url_rule("/other", "other", says(PUBLIC), methods=["POST"])
    client.get("/")

    assert is_stored(client) == stored


def test_in_debug_mode_nothing_is_storable(monkeypatch: Patch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    client = serve()

    for _ in range(2):
        assert client.get("/").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("entries", "size"), [(510, 100), (15, 900_000)])
def test_the_oldest_are_evicted_when_there_is_no_room(entries: int, size: int) -> None:
    client = serve(says(PUBLIC, bytes(size)))
    urls = [f"/?{number}" for number in range(entries)]

    for url in urls:
        client.get(url)

    stored = [is_stored(client, url) for url in reversed(urls)]
    assert stored == sorted(stored, reverse=True)
    assert entries / 2 < sum(stored) < entries


def test_a_page_that_is_renewed_takes_its_room_once(clock: Clock) -> None:
    client = serve(says(PUBLIC, bytes(900_000)))

    for number in range(15):
        clock(number * 10.0**9)
        client.get("/")

    assert is_stored(client, "/")


def test_a_large_entry_is_not_stored() -> None:
    def has_room(key: int, body: int) -> bool:
        client, url = serve(says(PUBLIC, bytes(body), ETag='"own"')), f"/?{'x' * key}"
        client.get(url)
        return is_stored(client, url)

    assert [has_room(key, 10) for key in (1800, 2000)] == [True, False]
    assert [has_room(0, body) for body in (1_000_000, 1_000_001)] == [True, False]


@pytest.mark.parametrize(("length", "stored"), [(8, True), (9, False), (7, False), (None, False)])
def test_a_body_in_parts_is_stored_only_if_complete(length: int | None, *, stored: bool) -> None:
    events = []

    def parts() -> Iterator[bytes]:
        for part in (b"in ", b"parts"):
            events.append(part)
            yield part

    def view() -> Response:
        response = says(PUBLIC, parts(), **({"Content-Length": length} if length else {}))()
        response.call_on_close(lambda: events.append(b"closed"))
        return response

    client = serve(view)

    with client.get("/", buffered=False) as response:
        assert (events == [b"in "]) == (length is None)
        assert response.data == b"in parts"
    assert client.get("/").data == b"in parts"
    assert events == [b"in ", b"parts", b"closed"] * (1 if stored else 2)
