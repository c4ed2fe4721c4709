"""WSGI middleware: an in-memory HTTP cache, one per process (RFC 9111).

The site works the same without it, only more slowly.
"""

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.http import parse_etags, remove_entity_headers, unquote_etag

from .responses import PUBLIC, accepts_gzip

MAX_ENTRIES = 500
MAX_BYTES = 50_000  # of one body

# Requests with one of these headers bypass the cache.
BYPASS = ("HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_IF_MATCH", "HTTP_RANGE")


class Entry(NamedTuple):
    """A stored response."""

    headers: list[tuple[str, str]]
    etag: str | None
    body: bytes
    stored_at: float  # seconds, as monotonic() counts them
    max_age: int  # seconds


class Cache:
    """Serves from memory the complete responses that any cache may store."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app
        self.entries: OrderedDict[tuple[object, ...], Entry] = OrderedDict()  # oldest first
        self.lock = Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        get = environ.get
        if environ["REQUEST_METHOD"] != "GET" or not environ.keys().isdisjoint(BYPASS):
            return self.app(environ, start_response)
        key = (
            environ["wsgi.url_scheme"],
            get("HTTP_X_FORWARDED_PROTO"),  # decides about the redirect to HTTPS
            get("HTTP_HOST"),
            get("SCRIPT_NAME"),
            get("PATH_INFO"),
            get("QUERY_STRING"),
            accepts_gzip(get("HTTP_ACCEPT_ENCODING", "")),
        )
        entry = self.entries.get(key)
        if entry is None or (age := monotonic() - entry.stored_at) >= entry.max_age:
            return self.fetch(key, environ, start_response)
        headers = [*entry.headers, ("Age", str(int(age)))]
        known = get("HTTP_IF_NONE_MATCH")
        if known and parse_etags(known).contains_weak(entry.etag or ""):
            remove_entity_headers(headers)
            start_response("304 NOT MODIFIED", headers)
            return ()
        start_response("200 OK", headers)
        return (entry.body,)

    def fetch(
        self, key: tuple[object, ...], environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Call the application, and store its response if any cache may."""
        started: list[Any] = ["", []]  # until then: some start as late as when the body is read

        def capture(*response: Any) -> Any:
            started[:] = response
            return start_response(*response)

        body = self.app(environ, capture)
        status, headers = started[:2]
        fields = {name.lower(): value for name, value in headers}
        public = PUBLIC.fullmatch(fields.get("cache-control", ""))
        if not (
            public
            and status == "200 OK"
            and len(fields) == len(headers)  # a repeated field can contradict itself
            and "set-cookie" not in fields
            and fields.get("vary", "Accept-Encoding") == "Accept-Encoding"
            and int(fields.get("content-length", MAX_BYTES + 1)) <= MAX_BYTES
        ):
            return body
        try:
            whole = b"".join(body)
        finally:
            if hasattr(body, "close"):
                body.close()
        if len(whole) == int(fields["content-length"]):
            etag, _ = unquote_etag(fields.get("etag"))
            with self.lock:
                self.entries.pop(key, None)
                self.entries[key] = Entry([*headers], etag, whole, monotonic(), int(public[1]))
                if len(self.entries) > MAX_ENTRIES:
                    self.entries.popitem(last=False)
        return (whole,)
