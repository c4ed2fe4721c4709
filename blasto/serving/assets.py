"""Static files: versioned URLs, whose content never changes (RFC 8246)."""

import hashlib
import mimetypes
import os
from functools import lru_cache
from stat import S_ISREG
from typing import Any

from flask import Flask, after_this_request
from werkzeug.security import safe_join
from werkzeug.wrappers import Response

IMMUTABLE = "max-age=31536000, s-maxage=31536000, immutable"  # a year (RFC 8246)

mimetypes.add_type("image/x-icon", ".ico")  # which browsers sniff as well (WHATWG MIME Sniffing)


def init_app(app: Flask) -> None:
    """Give each static file a versioned URL that is cacheable for a year; others, for a minute."""
    if not app.has_static_folder:
        return
    folder = app.static_folder
    # In the path, because Werkzeug takes twice as long for a URL with a query.
    app.add_url_rule(f"{app.static_url_path}/v=<v>/<path:filename>", "static")

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            values.setdefault("v", version(folder, values.get("filename")))

    @app.url_value_preprocessor
    def check_version(endpoint: str | None, values: dict[str, Any] | None) -> None:
        if endpoint != "static" or values is None:
            return
        # During a deployment, the URL of one release can reach the other: not for good there.
        current = values.pop("v", None) == version(folder, values["filename"])

        @after_this_request
        def set_lifetime(response: Response) -> Response:
            response.headers["Cache-Control"] = IMMUTABLE if current else "max-age=60, s-maxage=60"
            return response


def version(folder: str | None, filename: str | None) -> str | None:
    """Return a hash of a file's content, or None if the folder has no such regular file."""
    path = safe_join(folder or "", filename or "")
    if path is None:
        return None
    try:
        status = os.stat(path)  # noqa: PTH116  # a Path takes twice as long
        return digest(path, status.st_mtime_ns) if S_ISREG(status.st_mode) else None
    except (OSError, ValueError):  # ValueError: NUL, or a surrogate
        return None


@lru_cache
def digest(path: str, _mtime_ns: int) -> str:
    with open(path, "rb") as file:  # noqa: PTH123  # likewise
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
