"""How responses travel: how long they may be kept, compressed, and not again to who has them."""

import zlib
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from flask import current_app, request
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Response

# A page depends on its address alone, so browsers and shared caches may keep it (max-age and
# s-maxage, RFC 9111, 5.2.2); a new release is seen after a minute everywhere.
FRESH = {"Cache-Control": "max-age=60, s-maxage=60"}

# At an address made from the content there will never be anything else (RFC 8246).
IMMUTABLE = {"Cache-Control": "max-age=31536000, s-maxage=31536000, immutable"}

COMPRESSIBLE = {
    *("text/html", "text/plain", "text/css", "text/javascript", "application/json"),
    *("image/svg+xml", "application/manifest+json"),
}

# zlib's number for the gzip format with a window of 4 KiB. With memLevel 5, a compressor takes
# 32 KiB, an eighth of what it does by default (zconf.h).
GZIP_4K = 16 + 12


def deliver(response: Response) -> Response:
    """Say how long a response may be kept, compress it, and answer 304 to who has it.

    What says nothing about itself is kept by nobody: an error, or a page for one visitor. Nor is
    anything that a developer may change.
    """
    present = {name.lower() for name, _ in response.headers}  # asking one by one is slow
    if "cache-control" not in present or current_app.debug:
        response.headers["Cache-Control"] = "no-store"
    if response.status != "200 OK" or response.is_streamed or "content-encoding" in present:
        return response

    if response.mimetype in COMPRESSIBLE:
        response.headers.add("Vary", "Accept-Encoding")
        if accepts_gzip(request.environ.get("HTTP_ACCEPT_ENCODING", "")):
            compress(response)
    # Of the bytes that are sent: the same from every process, and another for every encoding.
    response.headers["ETag"] = f'"{blake2b(response.get_data(), digest_size=12).hexdigest()}"'
    if "HTTP_IF_NONE_MATCH" in request.environ:
        response.make_conditional(request)
    return response


def compress(response: Response) -> None:
    """Compress a body, where that makes it shorter."""
    plain = response.get_data()
    head, end, rest = plain.partition(b"</style>")  # pages begin alike
    gzip, body = begun(head + end)
    gzip = gzip.copy()
    body += gzip.compress(rest) + gzip.flush()
    if len(body) < len(plain):
        response.set_data(body)
        response.headers["Content-Encoding"] = "gzip"


@lru_cache(maxsize=8)
def begun(head: bytes) -> tuple[Any, bytes]:
    """Compress what many bodies begin with: return the compressor after it, and its output."""
    gzip = zlib.compressobj(wbits=GZIP_4K, memLevel=5)
    return gzip, gzip.compress(head) + gzip.flush(zlib.Z_BLOCK)


@lru_cache(maxsize=128)
def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether a visitor takes gzip, and likes it as much as no encoding (RFC 9110, 12.5.3)."""
    accept = parse_accept_header(accept_encoding, Accept)
    return accept.quality("gzip") > 0 and accept.quality("gzip") >= accept.quality("identity")
