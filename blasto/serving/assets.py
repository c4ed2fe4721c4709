"""Static files: each at an address made from its content, where it can be kept for good."""

import mimetypes
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from flask import current_app, request, send_from_directory, url_for
from flask.globals import request_ctx
from werkzeug.wrappers import Response

from .delivery import FRESH, IMMUTABLE

mimetypes.add_type("image/x-icon", ".ico")  # the type that sniffing finds too (WHATWG)

LARGE = 2**20  # bytes; more is sent as it is read, rather than held in memory


def static(filename: str) -> Response:
    """A file, for a minute or, at the address that has its version, for good."""
    folder = str(current_app.static_folder)
    # Flask's own ETag is made of the time of the last change: another on another machine.
    response = send_from_directory(folder, filename, etag=False, conditional=False)
    del response.last_modified
    if (response.content_length or 0) <= LARGE:
        response.make_sequence()
        response.close()  # the file has been read
    response.headers.update(IMMUTABLE if request.args.get("v") == version(filename) else FRESH)
    return response


def add_version(endpoint: str, values: dict[str, Any]) -> None:
    """Make url_for() put a file's version into its address."""
    if endpoint == "static":
        values.setdefault("v", version(values["filename"]))


def remembered_url_for(endpoint: str, **values: Any) -> str:
    """url_for() for templates: an address that does not depend on a name is built only once."""
    if values.keys() <= {"filename"}:
        below = getattr(request_ctx.url_adapter, "script_name", None)
        return address(below, endpoint, **values)
    return url_for(endpoint, **values)


@lru_cache
def address(_below: str | None, endpoint: str, **values: Any) -> str:
    return url_for(endpoint, **values)


def version(filename: str) -> str | None:
    """Return what changes with the content of a file; None where there is no such file."""
    path = f"{current_app.static_folder}/{filename}"
    try:
        return digest(path, Path(path).stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache
def digest(path: str, _changed: int) -> str:
    return blake2b(Path(path).read_bytes(), digest_size=6).hexdigest()
