"""A shared HTTP cache in memory (RFC 9111): a page is made once, then sent as it was finished.

WSGI middleware; without it the site answers the same, more slowly.
"""

from collections import OrderedDict
from collections.abc import Iterable
from functools import lru_cache
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from werkzeug.datastructures import ResponseCacheControl
from werkzeug.http import parse_cache_control_header, parse_etags, unquote_etag

from .delivery import accepts_gzip

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Headers = list[tuple[str, str]]
Key = tuple[str | bool | None, ...]

# What a page may depend on, besides Accept-Encoding; HTTPS_ONLY reads the last.
KEY = (
    *("wsgi.url_scheme", "HTTP_HOST", "SERVER_NAME", "SERVER_PORT"),
    *("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "HTTP_X_FORWARDED_PROTO"),
)
# Who sends one of these is known, or wants a part or nothing: the site itself answers.
PERSONAL = ("HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_IF_MATCH", "HTTP_RANGE")

# What describes a body, and a 304 has none (RFC 9110, 15.4.5).
OF_A_BODY = {"content-type", "content-length", "content-encoding"}

OVERHEAD = 2000  # bytes that an entry takes besides its key and body, about


class Entry(NamedTuple):
    """A finished response."""

    headers: Headers
    body: bytes
    born: float
    fresh_for: int  # seconds
    size: int  # bytes


class Cache:
    """Answers from memory what the site has said that anybody may keep."""

    def __init__(
        self, app: "WSGIApplication", max_entries: int = 1000, max_bytes: int = 4_000_000
    ) -> None:
        self.app = app
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.entries: OrderedDict[Key, Entry] = OrderedDict()  # what has been kept longest is first
        self.bytes = 0
        self.lock = Lock()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        body: Iterable[bytes]
        method = environ["REQUEST_METHOD"]
        if method not in {"GET", "HEAD"}:
            body = self.app(environ, start_response)
            self.forget(environ)
            return body
        if not environ.keys().isdisjoint(PERSONAL):
            return self.app(environ, start_response)

        # What visitors accept has many spellings and two answers, and what they know is looked
        # at here: the site is asked for whole pages, in the one or the other encoding.
        gzip = accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))
        environ["HTTP_ACCEPT_ENCODING"] = "gzip" if gzip else "identity"
        known = environ.pop("HTTP_IF_NONE_MATCH", "")
        key = (*map(environ.get, KEY), gzip)

        entry = self.entries.get(key)
        age = monotonic() - entry.born if entry else 0
        if entry and age < entry.fresh_for:
            status = "200 OK"
            headers = [*entry.headers, ("Age", str(int(age)))]
            body = (entry.body,) if method == "GET" else ()
        else:
            status, headers, body = self.ask(key, environ)

        if known and status == "200 OK" and is_known(headers, known):
            close(body)
            status = "304 NOT MODIFIED"
            headers = [pair for pair in headers if pair[0].lower() not in OF_A_BODY]
            body = ()
        start_response(status, headers)
        return body

    def ask(self, key: Key, environ: "WSGIEnvironment") -> tuple[str, Headers, Iterable[bytes]]:
        """Let the site answer, and keep the answer where that is allowed."""
        noted: list[Any] = []
        # Flask starts its response before it returns one, and writes none of it in between.
        body = self.app(environ, lambda *response: noted.extend(response))  # type: ignore[arg-type]
        status: str = noted[0]
        headers: Headers = noted[1]

        fields = joined(headers)
        fresh_for = seconds_to_keep(environ, status, fields)
        # Only what is complete (RFC 9111, 3.3) and leaves room for others.
        length = int(fields.get("content-length", self.max_bytes))
        if not fresh_for or length > self.max_bytes // 8:
            return status, headers, body

        whole = b"".join(body)
        close(body)
        if len(whole) == length:
            size = OVERHEAD + length + sum(len(part) for part in key if isinstance(part, str))
            self.keep(key, Entry(headers.copy(), whole, monotonic(), fresh_for, size))
        return status, headers, (whole,)

    def keep(self, key: Key, entry: Entry) -> None:
        """Keep an entry, in the place of what has been kept longest."""
        with self.lock:
            replaced = self.entries.pop(key, None)
            self.entries[key] = entry
            self.bytes += entry.size - (replaced.size if replaced else 0)
            while len(self.entries) > self.max_entries or self.bytes > self.max_bytes:
                _, oldest = self.entries.popitem(last=False)
                self.bytes -= oldest.size

    def forget(self, environ: "WSGIEnvironment") -> None:
        """Let go of what a request may have changed (RFC 9111, 4.4)."""
        for gzip in (True, False):
            with self.lock:
                entry = self.entries.pop((*map(environ.get, KEY), gzip), None)
                self.bytes -= entry.size if entry else 0


def close(body: Iterable[bytes]) -> None:
    """Tell the site that its response is done with (PEP 3333)."""
    if hasattr(body, "close"):
        body.close()


def is_known(headers: Headers, known: str) -> bool:
    """Tell whether a visitor's If-None-Match has a response's ETag (RFC 9110, 13.1.2)."""
    etag = next((value for name, value in headers if name.lower() == "etag"), None)
    if etag is None:
        return False
    return known == etag or parse_etags(known).contains_weak(unquote_etag(etag)[0])


def joined(headers: Headers) -> dict[str, str]:
    """Return each header's values as one, by its name in lower case (RFC 9110, 5.2)."""
    fields: dict[str, str] = {}
    for name, value in headers:
        field = name.lower()
        fields[field] = f"{fields[field]}, {value}" if field in fields else value
    return fields


def seconds_to_keep(environ: "WSGIEnvironment", status: str, fields: dict[str, str]) -> int:
    """Return for how many seconds a response may be kept, 0 where not at all (RFC 9111, 3)."""
    if (
        status != "200 OK"
        or environ["REQUEST_METHOD"] != "GET"
        or "no-store" in environ.get("HTTP_CACHE_CONTROL", "").lower()
        or "set-cookie" in fields
        or fields.get("vary", "").lower() not in {"", "accept-encoding"}
    ):
        return 0
    return freshness(fields.get("cache-control", "").lower())


@lru_cache(maxsize=64)
def freshness(cache_control: str) -> int:
    """Return for how many seconds anybody may use a response (RFC 9111, 4.2.1 and 5.2.2)."""
    said = parse_cache_control_header(cache_control, cls=ResponseCacheControl)
    if not {"private", "no-cache", "no-store"}.isdisjoint(said):
        return 0
    # max-age alone is also said to one visitor's browser.
    max_age = said.max_age or 0 if "public" in said else 0
    return max(max_age if said.s_maxage is None else said.s_maxage, 0)
