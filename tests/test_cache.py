"""The cache in memory: what anybody may keep is made once; nothing else is ever kept."""

from collections import Counter
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from werkzeug.test import Client

from blasto import cache
from blasto.app import create_app
from blasto.cache import Cache

PUBLIC = "public, max-age=60"


class Page:
    """A page that counts how often it is made, with headers to try."""

    def __init__(self, *headers: tuple[str, str], status: int = 200) -> None:
        self.headers = headers
        self.status = status
        self.made = 0

    def __call__(self) -> Response:
        self.made += 1
        response = Response(f"{self.made}", self.status)
        for name, value in self.headers:
            response.headers.add(name, value)
        return response


class Body:
    """An application whose body comes in parts, and tells whether it was closed."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self.headers = headers
        self.closed = False

    def __call__(self, _environ: object, start_response: Callable[..., object]) -> "Body":
        start_response("200 OK", list(self.headers))
        return self

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"in ", b"parts"])

    def close(self) -> None:
        self.closed = True


def publish(app: Flask, page: Page) -> FlaskClient:
    app.add_url_rule("/page", "page", page, methods=["GET", "POST"])
    return app.test_client(use_cookies=False)


def times_made(app: Flask, page: Page, **request: object) -> int:
    """Ask twice and return how often the page was made."""
    client = publish(app, page)
    client.get("/page", **request)
    client.get("/page", **request)
    return page.made


@pytest.mark.parametrize(
    "cache_control",
    [PUBLIC, "max-age=60,public", "Public, Max-Age=60", "max-age=0, s-maxage=60"],
)
def test_what_anybody_may_keep_is_made_once(app: Flask, cache_control: str) -> None:
    assert times_made(app, Page(("Cache-Control", cache_control))) == 1


@pytest.mark.parametrize(
    "cache_control",
    [
        *("", "max-age=60", "public", "public, max-age=0", "public, max-age=-1"),
        *(
            "public, max-age=x",
            "max-age=60, s-maxage=0",
            "s-maxage=60, private",
            "public, max-age=60, s-maxage=0",
            f"{PUBLIC}, no-store",
        ),
        *(f"{PUBLIC}, private", f"{PUBLIC}, no-cache", f"{PUBLIC}, Private", "no-store"),
        *(f'{PUBLIC}, private="x"', f'{PUBLIC}, no-cache="Set-Cookie"', f'{PUBLIC}, private=""'),
        *(None, "publicity, max-age=60", 'x="public, max-age=60"'),
    ],
)
def test_what_does_not_say_that_anybody_may_keep_it_is_not_kept(
    cache_control: str | None,
) -> None:
    headers = [] if cache_control is None else [("Cache-Control", cache_control)]
    cached = Cache(Body(("Content-Length", "8"), *headers))

    Client(cached).get("/")

    assert not cached.entries


@pytest.mark.parametrize(
    "header",
    [
        *(("Set-Cookie", "id=1"), ("Vary", "*"), ("Vary", "Cookie"), ("Vary", "User-Agent")),
        *(("Vary", "Accept-Encoding, Cookie"), ("Cache-Control", "private")),
    ],
)
def test_what_is_for_one_visitor_is_not_kept(app: Flask, header: tuple[str, str]) -> None:
    assert times_made(app, Page(("Cache-Control", PUBLIC), header)) == 2


@pytest.mark.parametrize("status", [201, 203, 204, 206, 301, 302, 400, 404, 410, 500, 503])
def test_only_a_200_is_kept(app: Flask, status: int) -> None:
    assert times_made(app, Page(("Cache-Control", PUBLIC), status=status)) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Basic YTpi"),
        ("Cookie", "id=1"),
        ("Range", "bytes=0-0"),
        ("Cache-Control", "No-Store"),
    ],
)
def test_a_request_that_is_about_one_visitor_or_a_part_is_answered_by_the_site(
    app: Flask, name: str, value: str
) -> None:
    assert times_made(app, Page(("Cache-Control", PUBLIC)), headers={name: value}) == 2


def test_who_sends_a_cookie_is_not_answered_from_memory(app: Flask) -> None:
    app.add_url_rule(
        "/me",
        view_func=lambda: (request.cookies.get("id", "nobody"), {"Cache-Control": PUBLIC}),
    )
    client = app.test_client(use_cookies=False)
    first = client.get("/me")

    mine = client.get("/me", headers={"Cookie": "id=mine"})
    after = client.get("/me")

    assert (first.text, mine.text, after.text) == ("nobody", "mine", "nobody")


@pytest.mark.parametrize(
    "different",
    [
        {"base_url": "https://localhost"},
        {"environ_overrides": {"wsgi.url_scheme": "https"}},
        {"base_url": "http://other.test"},
        {"base_url": "http://localhost/below"},
        {"base_url": "http://localhost:81"},
        {"query_string": "a=b"},
        {"query_string": "?"},
        {"path": "/user/bo"},
        {"path": "/user/Bo/"},
        {"path": "/user/Bo%20"},
        {"headers": {"X-Forwarded-Proto": "http"}},
        {"headers": {"Accept-Encoding": "gzip"}},
    ],
)
def test_a_page_is_kept_by_all_that_it_depends_on(
    client: FlaskClient, different: dict[str, Any]
) -> None:
    client.get("/user/Bo")

    other = client.get(**{"path": "/user/Bo", **different})

    assert client.get("/user/Bo").headers["Age"] == "0"
    assert "Age" not in other.headers


def test_the_way_to_https_is_not_passed_by(app: Flask) -> None:
    app.config["HTTPS_ONLY"] = True
    client = app.test_client()
    client.get("/", headers={"X-Forwarded-Proto": "https"})
    client.get("/")

    response = client.get("/", headers={"X-Forwarded-Proto": "http"})

    assert response.status_code == 301
    assert response.headers["Cache-Control"] == "no-store"


def test_a_host_that_is_not_trusted_is_refused_however_hot_the_page(app: Flask) -> None:
    app.config["TRUSTED_HOSTS"] = ["site.test"]
    client = app.test_client()

    good = [client.get("/", base_url="http://site.test").status_code for _ in range(2)]
    bad = [client.get("/", base_url="http://evil.test").status_code for _ in range(2)]

    assert (good, bad) == ([200, 200], [400, 400])


@pytest.mark.parametrize(("accepted", "seen"), [("br, gzip;q=0.5", "gzip"), ("br", "identity")])
def test_a_page_sees_one_of_the_two_encodings_that_it_is_kept_in(accepted: str, seen: str) -> None:
    encodings = []

    def application(environ: dict[str, str], start_response: Callable[..., object]) -> list[bytes]:
        encodings.append(environ["HTTP_ACCEPT_ENCODING"])
        start_response("200 OK", [])
        return []

    Client(Cache(application)).get("/", headers={"Accept-Encoding": accepted})

    assert encodings == [seen]


def test_a_page_that_is_known_is_not_sent_and_its_body_closed() -> None:
    body = Body(("ETag", '"a"'))

    response = Client(Cache(body)).get("/", headers={"If-None-Match": 'W/"a"'})

    assert response.status_code == 304
    assert response.data == b""
    assert body.closed


def test_a_page_without_an_etag_is_never_known() -> None:
    response = Client(Cache(Body())).get("/", headers={"If-None-Match": "*"})

    assert response.status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_changes_a_page_makes_it_anew(app: Flask, method: str) -> None:
    page = Page(("Cache-Control", PUBLIC))
    client = publish(app, page)
    gzip = {"Accept-Encoding": "gzip"}
    client.get("/page")
    client.get("/page", headers=gzip)

    client.open("/page", method=method)
    before = page.made

    assert int(client.get("/page").text) == before + 1
    assert client.get("/page", headers=gzip).data
    assert page.made == before + 2


def test_what_is_let_go_of_takes_no_room() -> None:
    cached = Cache(pages_of(10))
    client = Client(cached)
    client.get("/a")
    kept = cached.bytes
    client.get("/longer")

    client.post("/longer")

    assert cached.bytes == kept > 0


def test_a_page_is_made_again_when_it_is_no_longer_fresh(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(cache, "monotonic", lambda: now[0])
    client = publish(app, Page(("Cache-Control", PUBLIC)))

    seen = []
    for now[0] in (0.0, 59.9, 60.0, 119.0, 121.0):
        response = client.get("/page")
        seen.append((response.text, response.headers.get("Age")))

    assert seen == [("1", None), ("1", "59"), ("2", None), ("2", "59"), ("3", None)]


def test_what_memory_answers_is_what_the_site_does(client: FlaskClient) -> None:
    for target in ("/", "/user/Bo", "/favicon.ico", "/robots.txt", "/static/icon.svg"):
        for encoding in ("gzip", "br"):
            headers = {"Accept-Encoding": encoding}
            made = client.get(target, headers=headers)
            kept = client.get(target, headers=headers)
            head = client.head(target, headers=headers)

            age = [("Age", "0")]
            assert list(kept.headers) == list(head.headers) == list(made.headers) + age
            assert kept.data == made.data
            assert head.data == b""


def test_head_is_not_kept_in_the_place_of_the_page(client: FlaskClient) -> None:
    client.head("/")

    assert "Blasto" in client.get("/").text


def test_a_page_is_not_kept_when_it_ends_early() -> None:
    body = Body(("Cache-Control", PUBLIC), ("Content-Length", "9"))
    cached = Cache(body)

    Client(cached).get("/")

    assert not cached.entries
    assert body.closed


def test_a_page_in_parts_is_kept_whole_and_its_body_closed() -> None:
    body = Body(("Cache-Control", PUBLIC), ("Content-Length", "8"))
    client = Client(Cache(body))

    made, kept = client.get("/"), client.get("/")

    assert made.data == kept.data == b"in parts"
    assert "Age" in kept.headers
    assert body.closed


def pages_of(size: int) -> Callable[..., list[bytes]]:
    def application(_environ: object, start_response: Callable[..., object]) -> list[bytes]:
        headers = [("Cache-Control", PUBLIC), ("Content-Length", str(size))]
        start_response("200 OK", headers)
        return [b"x" * size]

    return application


def test_memory_is_bounded_in_entries() -> None:
    cached = Cache(pages_of(10), max_entries=3)
    client = Client(cached)

    for path in ("/a", "/b", "/c", "/a", "/d"):
        client.get(path)

    assert [key[5] for key in cached.entries] == ["/b", "/c", "/d"]


def test_memory_is_bounded_in_bytes() -> None:
    cached = Cache(pages_of(10_000), max_bytes=100_000)
    client = Client(cached)

    for number in range(50):
        client.get(f"/{number}{'x' * 5000}?{'y' * 5000}")

    assert 3 <= len(cached.entries) <= 4
    assert cached.bytes == sum(entry.size for entry in cached.entries.values()) <= 100_000


def test_one_large_page_does_not_push_out_all_others() -> None:
    cached = Cache(pages_of(10_000), max_bytes=50_000)

    answer = Client(cached).get("/")

    assert len(answer.data) == 10_000
    assert not cached.entries


def test_many_threads_get_their_own_pages_and_memory_stays_bounded() -> None:
    app = create_app()
    cached = app.wsgi_app = Cache(create_app().wsgi_app.app, 20, 60_000)  # type: ignore[method-assign,attr-defined]
    wrong: Counter[str] = Counter()

    def visit(seed: int) -> None:
        client = Client(cached)
        for number in range(300):
            name = f"Name{(seed * 7 + number * 3) % 40}"
            text = client.get(f"/user/{name}").text
            if f">{name}</bdi>" not in text:
                wrong[name] += 1

    threads = [Thread(target=visit, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong
    assert len(cached.entries) <= 20
    assert cached.bytes == sum(entry.size for entry in cached.entries.values()) <= 60_000


def test_in_debug_mode_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    client = create_app().test_client()

    for response in (client.get("/"), client.get("/"), client.get("/robots.txt")):
        assert "Age" not in response.headers
        assert response.headers["Cache-Control"] == "no-store"


def test_without_the_cache_all_is_the_same_but_the_age(app: Flask) -> None:
    bare = create_app()
    bare.wsgi_app = bare.wsgi_app.app  # type: ignore[method-assign,attr-defined]
    cached, made = app.test_client(), bare.test_client()
    tag = made.get("/").headers["ETag"]

    for target in ("/", "/user/Bo", "/user/Bo/", "/nothing", "/favicon.ico"):
        for headers in ({}, {"Accept-Encoding": "gzip"}, {"If-None-Match": tag}):
            cached.get(target, headers=headers)
            kept = cached.get(target, headers=headers)
            without = made.get(target, headers=headers)

            # The id of a request, on an error page, is another each time.
            same = target == "/nothing" or kept.data == without.data
            ours = {name: value for name, value in kept.headers if name != "Age"}
            theirs = {name: value for name, value in without.headers if name != "Date"}
            assert same
            assert ours == theirs
            assert kept.status == without.status
