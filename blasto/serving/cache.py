"""A shared HTTP cache in memory (RFC 9111), which also decides what other caches may store."""

import re
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from itertools import chain
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from wsgiref.types import StartResponse, WSGIApplication

from flask import Flask, current_app, make_response, request
from flask.sessions import SecureCookieSessionInterface
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response
from werkzeug.wsgi import ClosingIterator, FileWrapper

from .headers import MAX_FIELD, Body, Environ, Headers, directives, joined, replaced
from .representation import OK, Representation, accepts_gzip, closed, is_compressible, send_file

View = Callable[..., ResponseReturnValue]
Url = tuple[str | None, ...]
Key = tuple[Url, bool]

# The store evicts its oldest entries.
MAX_ENTRIES = 500
MAX_BYTES = 10_000_000  # of all bodies and keys
MAX_BODY = 1_000_000  # bytes; a larger body is sent as it comes, and not stored
MAX_KEY = 2_000  # characters
MAX_WAIT = 20  # seconds, for another request that renews an entry; then all that wait render it

# A page may depend on these, besides its URL and the language.
PERSONAL = ("HTTP_AUTHORIZATION", "HTTP_COOKIE", "CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING")
URL = (
    *("wsgi.url_scheme", "HTTP_HOST", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING"),
    *("HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PREFIX", "HTTP_X_FORWARDED_PROTO"),
    "HTTP_ORIGIN",  # Flask-CORS sends `Vary` only to origins that it allows
)
CONDITIONS = (
    *("HTTP_IF_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_IF_RANGE"),
    *("HTTP_IF_UNMODIFIED_SINCE", "HTTP_RANGE"),
)
READ = {
    "cookies": "Cookie",
    "accept_languages": "Accept-Language",
    "accept_mimetypes": "Accept",
}
VALUE = re.compile(r"[\t -~\x80-\xff]*")  # of a header, in Latin-1 (RFC 9110, 5.5)
# In the environ: the number of writes before the request, then the URLs that Flask sees.
SEEN = "serving.seen"
SLOTS = 1_000  # counters of writes, by the hash of their path


def cache_publicly(*, seconds: int) -> Callable[[View], View]:
    """Let every cache store a page that depends on nothing but its URL.

    A stored page is sent without calling the site: no `before_request` function sees the request.
    A write invalidates it in this process alone; others send it for up to `seconds`. A page for
    which the site has read the cookies, `accept_languages` or `accept_mimetypes`, before any
    stream, is not stored.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Response:
            ask_for_all()
            response = make_response(current_app.ensure_sync(view)(*args, **kwargs))
            if request.method != "GET":
                return response
            said = response.headers.get("Cache-Control", "")
            if response.direct_passthrough and said == "no-cache":  # the default of send_file()
                said = ""
            allowed = directives(said)
            if not allowed.private and 0 not in allowed.lifetimes:
                least = min([seconds, *allowed.lifetimes])
                response.headers["Cache-Control"] = f"max-age={least}, s-maxage={least}"
            return response

        return wrapper

    return decorate


def ask_for_all() -> None:
    """Have the site send the whole body of a public response; the cache checks the conditions."""
    environ = request.environ  # each access to `request` takes 0.4 us
    if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
        for name in CONDITIONS:
            environ.pop(name, None)
        # The view too, which may look at the method, must not see HEAD.
        request.method = environ["REQUEST_METHOD"] = "GET"


class Answer(NamedTuple):
    """A response of the site, before any of it is sent."""

    status: str
    headers: Headers
    fields: dict[str, str]  # the headers by lower-case name
    body: Body
    is_file: bool  # as send_file() sends it


def who_may_store(answer: Answer, environ: Environ) -> str:
    """Return the Cache-Control of a response, or a stricter one if its headers require that."""
    if answer.status >= "4":
        return "no-store"
    fields = answer.fields
    sent = fields.get("cache-control", "no-store")
    said = directives(sent)
    vary = {name.strip().lower() for name in fields.get("vary", "").split(",")}
    varies = "set-cookie" in fields or not vary <= {"", "accept-encoding"}
    # Caches need no telling that credentials are for one (RFC 9111, 3.5); nginx's does.
    if said.private or not (varies or "HTTP_AUTHORIZATION" in environ):
        return sent
    # A browser may store a file, but no page, which may show a flash message. The body of a 206
    # or 304 of a file is no file itself.
    is_file = answer.is_file or said.immutable or answer.status[:3] in ("206", "304")
    if not said.lifetimes or (varies and not is_file):
        return "no-store"
    return f"private, max-age={min(said.lifetimes)}{', immutable' if said.immutable else ''}"


def is_for_all(entry: Representation, environ: Environ) -> bool:
    """Return whether a response may be stored, or sent from the store, for this request."""
    return entry.immutable or not any(map(environ.get, PERSONAL))


def url_of(environ: Environ) -> Url:
    """Return everything that URLs in a page can depend on, whatever middleware the site adds."""
    return tuple(map(environ.get, URL))


def path_of(key: Key) -> str:
    (_, _, root, path, *_), _ = key
    return f"{root}{path}"


def slot_of(path: str) -> int:
    return hash(path) % SLOTS


def note_request(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Note the URL that Flask sees; what the site reads of the request counts from here."""
    environ = request.environ
    environ.get(SEEN, []).append(url_of(environ))
    # Flask's own sessions add to Vary themselves, if the site has read them.
    save = type(current_app.session_interface).save_session
    if save is SecureCookieSessionInterface.save_session:
        vars(request).pop("cookies", None)


def note_reads(response: Response) -> Response:
    """Add what the site has read of the request to Vary; static files depend on nothing of it."""
    for name, header in READ.items():
        if name in vars(request) and not static_folder(request.endpoint):  # Werkzeug keeps it there
            response.vary.add(header)
    return response


def static_folder(endpoint: str | None) -> str | None:
    """Return the folder whose files an endpoint sends, of the site or of a blueprint."""
    name, _, static = (endpoint or "").rpartition(".")
    owner = current_app.blueprints.get(name) if name else current_app
    return owner.static_folder if owner and static == "static" else None


class Cache:
    """WSGI middleware that sees each response last, and stores what any cache may store."""

    def __init__(self, flask: Flask, app: WSGIApplication) -> None:
        self.flask = flask
        self.app = app
        self.entries: OrderedDict[Key, Representation] = OrderedDict()  # oldest first
        self.bytes = 0
        self.writes = [0] * SLOTS
        self.lock = Lock()

        # Before and after all functions of the site.
        flask.url_value_preprocessors[None].insert(0, note_request)
        flask.after_request_funcs[None].insert(0, note_reads)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Body:
        accept_encoding = environ.get("HTTP_ACCEPT_ENCODING", "")
        gzipped = len(accept_encoding) <= MAX_FIELD and accepts_gzip(accept_encoding)
        body = self.respond((url_of(environ), gzipped), environ, start_response)
        return body if environ["REQUEST_METHOD"] != "HEAD" else closed(body)

    def respond(self, key: Key, environ: Environ, start_response: StartResponse) -> Body:
        """Send the stored response, or else that of the site."""
        entry = self.entries.get(key) if environ["REQUEST_METHOD"] in ("GET", "HEAD") else None
        if not entry or not is_for_all(entry, environ):
            return self.forward(key, environ, start_response)
        if (age := int(monotonic() - entry.stored_at)) < entry.max_age:
            return entry.send(environ, start_response, ("Age", str(age)))
        # One request renews it, and the others wait, unless that one hangs.
        renews = entry.renewal.acquire(timeout=MAX_WAIT)
        try:
            if self.entries.get(key) is entry:
                return self.forward(key, environ, start_response)
        finally:
            with self.lock:
                self.discard(key, entry)
                if renews:
                    entry.renewal.release()
        return self.respond(key, environ, start_response)

    def forward(self, key: Key, environ: Environ, start_response: StartResponse) -> Body:
        """Send the response of the site, and store it if it is public."""
        environ[SEEN] = [self.writes[slot_of(path_of(key))]]
        answer = call(self.app, environ)
        said = "no-store" if self.flask.debug else who_may_store(answer, environ)
        if said != answer.fields.get("cache-control"):
            headers = replaced(answer.headers, {"Cache-Control": said})
            answer = answer._replace(headers=headers, fields=joined(headers))
        method = environ["REQUEST_METHOD"]
        if method in ("GET", "HEAD") and answer.status == OK:
            return self.send(key, answer, environ, start_response)
        if method not in ("GET", "HEAD", "OPTIONS", "TRACE") and answer.status < "4":
            self.invalidate(key, answer.fields.get("location", ""))
        start_response(answer.status, answer.headers)
        return answer.body

    def send(
        self, key: Key, answer: Answer, environ: Environ, start_response: StartResponse
    ) -> Body:
        """Stream a file; compress, store and send any other public response."""
        _, headers, fields, body, is_file = answer
        said = directives(fields["cache-control"])
        # A versioned file is compressed for one visitor too, such as if the session has been read.
        may_be_read = said.public or (said.immutable and is_file)
        size = int(fields.get("content-length", MAX_BODY + 1)) if may_be_read else MAX_BODY + 1
        if is_file and "etag" in fields and (size > MAX_BODY or not is_compressible(fields)):
            return send_file(headers, body, environ, start_response)
        if size > MAX_BODY:
            start_response(OK, headers)
            return body
        whole = read(body)
        if len(whole) != size:
            start_response(OK, headers)
            return (whole,)
        # A response with an Age has used up a part of its lifetime.
        max_age = said.lifetimes[0] if said.lifetimes and "age" not in fields else 0
        entry = Representation(headers, whole, max_age, gzipped=key[1])
        # Do not store what the site has encoded for one client; nor a file just because send_file()
        # has set `public`: its view may depend on anything.
        is_plain = "content-encoding" not in fields and (said.shared or not is_file)
        if is_plain and is_for_all(entry, environ):
            self.store(key, entry, environ)
        return entry.send(environ, start_response)

    def store(self, key: Key, entry: Representation, environ: Environ) -> None:
        """Store a response that has a lifetime, and evict the oldest ones when there is no room."""
        if not entry.max_age or sum(map(len, filter(None, key[0]))) > MAX_KEY:
            return
        with self.lock:
            # A write may have come meanwhile, or Flask have seen another URL.
            if environ[SEEN] != [self.writes[slot_of(path_of(key))], key[0]]:
                return
            self.discard(key, self.entries.get(key))
            self.entries[key] = entry
            self.bytes += entry.size
            while len(self.entries) > MAX_ENTRIES or self.bytes > MAX_BYTES:
                self.discard(*next(iter(self.entries.items())))

    def discard(self, key: Key, entry: Representation | None) -> None:
        """Remove an entry, unless another has taken its place; the caller has the lock."""
        if entry and self.entries.get(key) is entry:
            del self.entries[key]
            self.bytes -= entry.size

    def invalidate(self, written: Key, location: str) -> None:
        """Invalidate the URL that was written to, and the URL in the Location (4.4)."""
        paths = {path_of(written), unquote(urlsplit(location).path, "latin-1")}
        with self.lock:
            for path in paths:
                self.writes[slot_of(path)] += 1
            for key, entry in [*self.entries.items()]:
                if path_of(key) in paths:
                    self.discard(key, entry)


def call(app: WSGIApplication, environ: Environ) -> Answer:
    """Return the response of an application, before any of it is sent.

    It gets a copy of the environ, in which ask_for_all() changes method and conditions.
    """
    # For a range, gunicorn's would read all that is before it; and uWSGI's is a function.
    environ = {**environ, "wsgi.file_wrapper": FileWrapper}
    if "HTTP_IF_MATCH" in environ:  # a view has its own ETags, not those of their encodings
        environ["HTTP_IF_MATCH"] = environ["HTTP_IF_MATCH"].replace('-gzip"', '"')
    started: list[Any] = []
    written: list[bytes] = []

    def start(status: str, headers: Headers, *_: Any) -> Any:
        for name, value in headers:  # servers reject it too late for an error page
            if not VALUE.fullmatch(value):
                raise ValueError(
                    f"The header {name} has a character that HTTP does not allow: encode it."
                )
        started[:] = status, headers
        return written.append  # as old applications send their body (PEP 3333)

    body = app(environ, start)
    if not isinstance(body, FileWrapper):  # the first part may fail, or call start()
        parts = iter(body)
        try:
            first = next(parts, b"")
        except BaseException:  # such as gevent.Timeout
            closed(body)
            raise
        body = ClosingIterator(chain(written, [first], parts), getattr(body, "close", None))
    status, headers = started
    return Answer(status, headers, joined(headers), body, isinstance(body, FileWrapper))


def read(body: Body) -> bytes:
    try:
        return b"".join(body)
    finally:
        closed(body)
