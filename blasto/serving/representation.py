"""Public responses: encoding, ETags, conditional requests and ranges (RFC 9110)."""

import gzip
import hashlib
import re
from functools import cached_property, lru_cache
from http import HTTPStatus
from io import BytesIO
from threading import Lock
from time import monotonic
from typing import Any
from wsgiref.types import StartResponse

from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import is_resource_modified, remove_entity_headers
from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import FileWrapper

from .headers import MAX_FIELD, Body, Environ, Headers, directives, joined, replaced

OK = "200 OK"

COMPRESSIBLE = re.compile(
    r"text/|image/svg\+xml|font/[ot]tf|application/(javascript|json|wasm|xml|[\w.-]+\+(json|xml))"
)
ONE_RANGE = re.compile(r"bytes=(\d{1,18}-\d{0,18}|-\d{1,18})", re.ASCII)


class Representation:
    """A whole public body in one encoding, as the cache stores it."""

    def __init__(self, headers: Headers, body: bytes, max_age: int, *, gzipped: bool) -> None:
        fields = joined(headers)
        self.etag = fields.get("etag") or f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        self.last_modified = fields.get("last-modified")
        self.max_age = max_age  # seconds
        self.immutable = directives(fields["cache-control"]).immutable
        self.stored_at = monotonic()
        self.renewal = Lock()
        compressible = is_compressible(fields)
        self.has_ranges = "accept-ranges" in fields and not compressible
        changed = {}
        if compressible:
            vary = fields.get("vary", "")
            if "accept-encoding" not in vary.lower():
                changed["Vary"] = f"{vary}, Accept-Encoding".removeprefix(", ")
            # Level 1 is faster, and 5 to 11 % larger; 9 takes up to five times as long as 6, and
            # saves 1 %. Without a time, all processes send the same bytes.
            level = 6 if self.immutable else 1
            compressed = gzip.compress(body, level, mtime=0) if gzipped else body
            if len(compressed) < len(body):
                body = compressed
                self.etag = f'{self.etag[:-1]}-gzip"'
                changed["Content-Encoding"] = "gzip"
            if "accept-ranges" in fields:
                changed["Accept-Ranges"] = "none"  # it is sent whole, whatever range is requested
        self.body = body
        self.size = len(body) + 4_000  # bytes of memory, its headers and its key included
        changed |= {"Content-Length": str(len(body)), "ETag": self.etag}
        self.headers = replaced(headers, changed)

    @cached_property
    def headers_of_304(self) -> Headers:
        headers = [*self.headers]
        remove_entity_headers(headers)
        return headers

    def send(self, environ: Environ, start_response: StartResponse, *age: tuple[str, str]) -> Body:
        """Send it, a range of it, or what the conditions of the request require."""
        if self.has_ranges and "HTTP_RANGE" in environ:
            file = FileWrapper(BytesIO(self.body))
            return send_file([*self.headers, *age], file, environ, start_response)
        status = condition(environ, self.etag, self.last_modified)
        if status == OK:
            start_response(status, [*self.headers, *age])
            return (self.body,)
        headers = [*self.headers_of_304, *age]
        if status >= "4":
            headers = replaced(headers, {"Cache-Control": "no-store"})
        start_response(status, headers)
        return ()


def send_file(headers: Headers, body: Any, environ: Environ, start_response: StartResponse) -> Body:
    """Send a file as it is read, a range of it, or what the conditions of the request require."""
    fields = joined(headers)
    wanted = environ.get("HTTP_RANGE", "") if environ["REQUEST_METHOD"] == "GET" else ""
    valid = {fields["etag"], fields.get("last-modified")}
    if_range = environ.get("HTTP_IF_RANGE")
    # The same date, or a strong ETag (13.1.5): Werkzeug would take more.
    if if_range and (if_range not in valid or if_range.startswith("W/")):
        wanted = ""
    status = condition(environ, fields["etag"], fields.get("last-modified"))
    response = Response(body, status, headers, direct_passthrough=True)
    response.accept_ranges = "bytes"
    # If there are several ranges, a malformed one, or no length, the whole file is sent (14.2).
    is_known = status == OK and "content-length" in fields
    if is_known and ONE_RANGE.fullmatch(wanted):
        size = int(fields["content-length"])
        try:
            asked = {"REQUEST_METHOD": "GET", "HTTP_RANGE": wanted}
            response.make_conditional(asked, "bytes", size)
        except RequestedRangeNotSatisfiable:
            response.status_code = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            response.headers["Content-Range"] = f"bytes */{size}"
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        response.response, response.content_length = (), 0
        response.headers["Cache-Control"] = "no-store"
    sent = response(environ, start_response)
    return sent if sent != () else closed(body)


def closed(body: Body) -> Body:
    """Close a body that is not sent."""
    if hasattr(body, "close"):
        body.close()
    return ()


def condition(environ: Environ, etag: str, last_modified: str | None) -> str:
    """Return the status that the conditions of a request require (13.2.2)."""
    match, none_match = environ.get("HTTP_IF_MATCH"), environ.get("HTTP_IF_NONE_MATCH")
    if match is not None:
        tags = Request({"HTTP_IF_MATCH": match[:MAX_FIELD]}).if_match
        if not (tags.star_tag or (etag[0] == '"' and tags.contains_raw(etag))):
            return "412 PRECONDITION FAILED"
    if none_match == etag:  # as most clients send it
        return "304 NOT MODIFIED"
    name = "HTTP_IF_MODIFIED_SINCE" if none_match is None else "HTTP_IF_NONE_MATCH"
    sent = {name: environ[name][:MAX_FIELD]} if name in environ else {}
    is_known = sent and not is_resource_modified(sent, etag, last_modified=last_modified)
    return "304 NOT MODIFIED" if is_known else OK


def is_compressible(fields: dict[str, str]) -> bool:
    """Return whether a body may be compressed, and would gain by it."""
    return bool(
        COMPRESSIBLE.match(fields.get("content-type", ""))
        and "content-encoding" not in fields
        and not directives(fields["cache-control"]).no_transform
    )


@lru_cache
def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether a client prefers gzip, or rates it equal to identity (12.5.3)."""
    accept = Request({"HTTP_ACCEPT_ENCODING": accept_encoding}).accept_encodings
    return accept.quality("gzip") > 0 and accept.quality("gzip") >= accept.quality("identity")
