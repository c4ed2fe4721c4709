"""Static files: versioned URLs, whose content never changes (RFC 8246)."""

import hashlib
import mimetypes
import os
from functools import lru_cache
from typing import Any

from flask import current_app, request
from werkzeug.wrappers import Response

IMMUTABLE = "max-age=31536000, s-maxage=31536000, immutable"  # a year (RFC 8246)

mimetypes.add_type("image/x-icon", ".ico")  # which browsers sniff as well (WHATWG MIME Sniffing)


def add_version(endpoint: str, values: dict[str, Any]) -> None:
    """Put a hash of the static file's content into its URL."""
    if endpoint == "static":
        values.setdefault("v", version(values.get("filename")))


def set_lifetime(response: Response) -> Response:
    """Let a static file be cached for a year at its versioned URL, otherwise for a minute."""
    if request.endpoint == "static" and request.view_args:
        # During a deployment, the URL of one release can reach the other: not for good there.
        current = request.args.get("v") == version(request.view_args["filename"])
        response.headers["Cache-Control"] = IMMUTABLE if current else "max-age=60, s-maxage=60"
    return response


def version(filename: str | None) -> str | None:
    """Return a hash of a static file's content, or None if there is no such file."""
    path = f"{current_app.static_folder}/{filename}"
    try:
        return digest(path, os.stat(path).st_mtime_ns)  # noqa: PTH116  # a Path takes twice as long
    except OSError:
        return None


@lru_cache
def digest(path: str, _mtime_ns: int) -> str:
    with open(path, "rb") as file:  # noqa: PTH123  # likewise
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
