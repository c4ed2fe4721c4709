"""Responses: security headers, error pages, HTTPS, compression, ETags and Cache-Control."""

import gzip
import re
from collections.abc import Callable
from functools import lru_cache, wraps
from http import HTTPStatus
from typing import Any

from flask import Flask, current_app, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import Accept
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Response

View = Callable[..., ResponseReturnValue]

HEADERS = {
    # Nothing from elsewhere, nothing inline, no frames; README.md says how to allow more.
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; font-src 'self'; img-src 'self'; "
        "script-src 'self'; style-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
HSTS = "max-age=31536000"  # a year (RFC 6797)

# Any cache may store it, for so many seconds (RFC 9111, 5.2.2).
PUBLIC = re.compile(r"(?:public, max-age=|max-age=\d+, s-maxage=)(\d+)(?:, immutable)?")

COMPRESSIBLE = ("text/", "application/javascript", "application/json", "image/svg+xml")

PRECONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH")

# A larger file is streamed as Flask does it, uncompressed, instead of read into memory.
MAX_IN_MEMORY = 1_000_000  # bytes


def init_app(app: Flask) -> None:
    """Register the HTTPS redirect, the error pages, and what finishes each response."""
    if app.config["HTTPS_ONLY"]:
        app.before_request(require_https)
    app.after_request(finish)
    app.register_error_handler(HTTPException, error_page)
    app.register_error_handler(SecurityError, untrusted_host)


def cache_publicly(seconds: int) -> Callable[[View], View]:
    """Let every cache store a page: only for a page that depends on nothing but its URL."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Response:
            response = make_response(current_app.ensure_sync(view)(*args, **kwargs))
            response.headers["Cache-Control"] = f"max-age={seconds}, s-maxage={seconds}"
            return response

        return wrapper

    return decorate


def require_https() -> Response | None:
    """Redirect to HTTPS what the router received over plain HTTP."""
    if request.headers.get("X-Forwarded-Proto") == "http" and not request.is_secure:
        return redirect(request.url.replace("http://", "https://", 1), 301)
    return None


def error_page(error: HTTPException) -> Response:
    """Render error.html, with the error's status and headers (405: Allow)."""
    response = error.get_response()
    response.data = render_template("error.html", error=error)
    return response


def untrusted_host(_error: SecurityError) -> ResponseReturnValue:
    """Answer in plain text: without a host, no URL can be built for a page's links."""
    text = "This site is not available under this host name. Check the address in your browser.\n"
    return text, 400, {"Content-Type": "text/plain; charset=utf-8"}


def finish(response: Response) -> Response:
    """Set the security headers, and compress and revalidate what any cache may store."""
    headers = response.headers
    present = {name.lower() for name, _ in headers}  # looking each up takes longer
    for name, value in HEADERS.items():
        if name.lower() not in present:
            headers.add(name, value)
    if request.is_secure:
        headers["Strict-Transport-Security"] = HSTS

    if "cache-control" not in present or current_app.debug:
        headers["Cache-Control"] = "no-store"
    elif response.status_code == HTTPStatus.OK and PUBLIC.fullmatch(headers["Cache-Control"]):
        if response.direct_passthrough:
            read_small_file(response)
        if not response.is_streamed:
            compress(response)
            response.add_etag(overwrite=True)
            if not request.environ.keys().isdisjoint(PRECONDITIONS):
                response.make_conditional(request)
    if response.status_code >= HTTPStatus.BAD_REQUEST:  # a 412 has the lifetime of the page
        headers["Cache-Control"] = "no-store"
    return response


def read_small_file(response: Response) -> None:
    """Read a file into memory, so that it can be compressed and its ETag is of its content."""
    size = response.content_length
    if size is not None and size <= MAX_IN_MEMORY:
        response.direct_passthrough = False
        response.make_sequence()
        del response.last_modified  # each deployment changes it
        response.headers.pop("Accept-Ranges", None)  # they would be of the uncompressed file


def compress(response: Response) -> None:
    """Compress a public body: a secret beside a visitor's text could be guessed (BREACH)."""
    headers = response.headers
    compressible = headers.get("Content-Type", "").startswith(COMPRESSIBLE)
    if not compressible or "Content-Encoding" in headers:
        return
    headers.add("Vary", "Accept-Encoding")
    if accepts_gzip(request.environ.get("HTTP_ACCEPT_ENCODING", "")):
        body = response.get_data()
        compressed = gzip.compress(body, compresslevel=1, mtime=0)  # 5 % larger, a fifth faster
        if len(compressed) < len(body):
            response.set_data(compressed)
            headers["Content-Encoding"] = "gzip"


@lru_cache
def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether a client prefers gzip, or rates it equal to identity (RFC 9110, 12.5.3)."""
    accept = parse_accept_header(accept_encoding, Accept)
    return accept.quality("gzip") > 0 and accept.quality("gzip") >= accept.quality("identity")
