"""The cache: stores only what any cache may store, and confuses no two requests."""

from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any
from wsgiref.types import StartResponse

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from werkzeug.test import Client

from blasto.serving import cache
from blasto.serving.cache import Cache

from tests.serving.conftest import make_app

PUBLIC = ("Cache-Control", "public, max-age=60")


class Body:
    """A WSGI application whose body comes in parts, and records that it was closed."""

    def __init__(
        self, *headers: tuple[str, str], parts: tuple[bytes, ...] = (b"in ", b"parts")
    ) -> None:
        self.headers = [PUBLIC, *headers]
        self.parts = parts
        self.closed = 0

    def __call__(self, _environ: object, start_response: StartResponse) -> "Body":
        start_response("200 OK", self.headers)
        return self

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            yield part or self.fail()

    def fail(self) -> bytes:
        raise OSError

    def close(self) -> None:
        self.closed += 1


def renderings(view: Callable[[], Response], **kwargs: Any) -> int:
    """Request a page twice and return how often it was rendered."""
    app, count = make_app(), 0

    def counted() -> Response:
        nonlocal count
        count += 1
        return view()

    app.add_url_rule("/page", "page", counted)
    for _ in range(2):
        app.test_client(use_cookies=False).get("/page", **kwargs)
    return count


@pytest.mark.parametrize(
    "value", ["public, max-age=9", "max-age=9, s-maxage=9", "public, max-age=9, immutable"]
)
def test_a_publicly_cacheable_response_is_rendered_once(value: str) -> None:
    assert renderings(lambda: Response("a", headers={"Cache-Control": value})) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Cache-Control": "max-age=60"},
        {"Cache-Control": "public"},
        {"Cache-Control": "max-age=60, s-maxage=0"},
        {"Cache-Control": "public, max-age=0"},
        {"Cache-Control": "public, max-age=60, no-cache"},
        {"Cache-Control": "public, max-age=60, private"},
        {"Cache-Control": "public, max-age=60", "Set-Cookie": "id=1"},
        {"Cache-Control": "public, max-age=60", "Vary": "Cookie"},
        {"Cache-Control": "public, max-age=60", "Vary": "*"},
        [PUBLIC, ("Vary", "Cookie"), ("Vary", "Accept-Encoding")],
        [PUBLIC, ("Link", "</a>"), ("Link", "</b>")],
    ],
)
def test_any_other_response_is_not_stored(headers: Any) -> None:
    assert renderings(lambda: Response("a", headers=headers)) == 2


@pytest.mark.parametrize("status", [201, 204, 206, 301, 404, 500])
def test_only_a_200_is_stored(status: int) -> None:
    assert renderings(lambda: Response("a", status, dict([PUBLIC]))) == 2


@pytest.mark.parametrize("header", ["Authorization", "Cookie", "Range", "If-Match"])
def test_credentials_ranges_and_preconditions_bypass_the_cache(header: str) -> None:
    assert renderings(lambda: Response("a", headers=[PUBLIC]), headers={header: "*"}) == 2


@pytest.mark.parametrize(
    "different",
    [
        {"base_url": "https://localhost"},
        {"base_url": "http://other.test"},
        {"base_url": "http://localhost:81"},
        {"base_url": "http://localhost/below"},
        {"query_string": "a=b"},
        {"path": "/private"},
        {"method": "HEAD"},
        {"method": "POST"},
        {"headers": {"Cookie": "a=b"}},
        {"headers": {"X-Forwarded-Proto": "http"}},
        {"headers": {"Accept-Encoding": "gzip"}},
    ],
)
def test_a_response_is_stored_under_all_that_it_depends_on(
    client: FlaskClient, different: dict[str, Any]
) -> None:
    client.get("/")

    other = client.open(**{"path": "/", **different})

    assert "Age" not in other.headers
    assert "Age" in client.get("/").headers


def test_a_stored_response_is_the_same_but_for_its_age(client: FlaskClient) -> None:
    for encoding in ("gzip", "identity"):
        first, second = (client.get("/", headers={"Accept-Encoding": encoding}) for _ in range(2))

        assert [*second.headers] == [*first.headers, ("Age", "0")]
        assert second.data == first.data


def test_a_response_is_rendered_again_when_it_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_app().test_client()

    def age(now: float) -> str | None:
        monkeypatch.setattr(cache, "monotonic", lambda: now)
        return client.get("/").headers.get("Age")

    ages = [age(now) for now in (0.0, 59.9, 60.0, 119.0, 121.0)]
    assert ages == [None, "59", None, "59", None]


def test_the_application_sees_the_request_as_it_was_sent(app: Flask) -> None:
    seen: list[dict[str, str]] = []
    app.before_request(lambda: seen.append(dict(request.headers)))
    sent = {"Accept-Encoding": "br;q=0.1", "If-None-Match": '"x"', "If-Modified-Since": "x"}

    app.test_client().get("/", headers=sent)

    assert sent.items() <= seen[0].items()


def test_a_body_in_parts_is_stored_whole_and_closed_once() -> None:
    body = Body(("Content-Length", "8"))
    client = Client(Cache(body))

    assert [client.get("/").data for _ in range(2)] == [b"in parts"] * 2
    assert body.closed == 1


@pytest.mark.parametrize("length", ["9", "7", str(cache.MAX_BYTES + 1)])
def test_an_incomplete_or_large_body_is_not_stored(length: str) -> None:
    stored = Cache(Body(("Content-Length", length)))

    Client(stored).get("/", buffered=True)

    assert not stored.entries


def test_a_body_without_close_is_stored() -> None:
    def application(_environ: object, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [PUBLIC, ("Content-Length", "4")])
        return [b"list"]

    stored = Cache(application)

    assert Client(stored).get("/").data == b"list"
    assert len(stored.entries) == 1


def test_a_body_that_fails_is_closed() -> None:
    body = Body(("Content-Length", "8"), parts=(b"in ", b""))

    with pytest.raises(OSError):  # noqa: PT011
        Client(Cache(body)).get("/")

    assert body.closed == 1


def test_an_application_may_start_its_response_late() -> None:
    def application(_environ: object, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [PUBLIC, ("Content-Length", "4")])
        yield b"late"

    client = Client(Cache(application))

    assert [client.get("/").data for _ in range(2)] == [b"late"] * 2


def test_the_oldest_entry_is_evicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_ENTRIES", 3)
    stored = Cache(Body(("Content-Length", "8")))

    for path in ("/a", "/b", "/c", "/a", "/d"):
        Client(stored).get(path)

    assert [key[4] for key in stored.entries] == ["/b", "/c", "/d"]


def test_threads_get_their_own_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_ENTRIES", 20)
    app = make_app()
    app.add_url_rule("/<name>", "name", lambda name: Response(name, headers=[PUBLIC]))
    wrong: list[str] = []

    def visit(seed: int) -> None:
        for number in range(200):
            name = f"name{(seed * 7 + number * 3) % 40}"
            if app.test_client().get(f"/{name}").text != name:
                wrong.append(name)

    threads = [Thread(target=visit, args=[seed]) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong
    assert len(app.wsgi_app.entries) == 20  # type: ignore[attr-defined]
