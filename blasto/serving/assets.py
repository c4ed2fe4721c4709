"""Static files, of the site and of its blueprints: versioned URLs, whose content never changes."""

import hashlib
import mimetypes
import os
from collections.abc import Callable
from functools import lru_cache, partial
from stat import S_ISREG
from time import monotonic
from types import MethodType
from typing import Any

from flask import Flask, after_this_request, request
from werkzeug.security import safe_join
from werkzeug.wrappers import Response

from .cache import ask_for_all, static_folder

IMMUTABLE = "max-age=31536000, s-maxage=31536000, immutable"  # a year (RFC 8246)
BRIEF = "max-age=60, s-maxage=60"
# Of an endpoint with several rules, Werkzeug builds the URL of that of the request's method.
DEPENDS_ON = ("wsgi.url_scheme", "HTTP_HOST", "SCRIPT_NAME", "REQUEST_METHOD")

# Python reads the machine's list, which may be missing, or name these differently.
for extension, media_type in {
    ".atom": "application/atom+xml",
    ".avif": "image/avif",
    ".ico": "image/x-icon",  # as browsers sniff it (WHATWG MIME Sniffing)
    ".js": "text/javascript",
    ".map": "application/json",
    ".mjs": "text/javascript",
    ".rss": "application/rss+xml",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}.items():
    mimetypes.add_type(media_type, extension)


def init_app(app: Flask) -> None:
    """Give static files versioned URLs, under which any cache may store them for a year."""

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if folder := static_folder(endpoint):
            values.setdefault("v", version(folder, str(values.get("filename") or "")))

    @app.url_value_preprocessor
    def send_whole_file(endpoint: str | None, values: dict[str, Any] | None) -> None:
        folder = static_folder(endpoint)
        if folder and values:
            ask_for_all()
            after_this_request(partial(set_lifetime, version(folder, values["filename"])))

    if app.jinja_env.globals["url_for"] == MethodType(Flask.url_for, app):  # unless replaced
        app.add_template_global(remembering(app, {None: [add_version]}), "url_for")


def remembering(app: Flask, ours: dict[Any, Any]) -> Callable[..., str]:
    """Return a url_for() that builds the URL of a file or of a plain view at most once a second.

    That saves a fifth of the time of a page. At a URL whose version is outdated by then, a file
    has a minute's lifetime. A site with URL defaults of its own uses Flask's url_for().
    """

    @lru_cache(maxsize=1_000)
    def build(endpoint: str, values: tuple[tuple[str, Any], ...], *_depends_on: Any) -> str:
        return app.url_for(endpoint, **dict(values))

    def url_for(endpoint: str, **values: Any) -> str:
        is_plain = values.keys() <= {"filename"} and isinstance(values.get("filename", ""), str)
        is_absolute = not endpoint.startswith(".")
        if request and is_plain and is_absolute and app.url_default_functions == ours:
            depends_on = map(request.environ.get, DEPENDS_ON)
            return build(endpoint, (*values.items(),), int(monotonic()), *depends_on)
        return app.url_for(endpoint, **values)

    return url_for


def set_lifetime(current: str | None, response: Response) -> Response:
    """Let any cache store a file, for a year at its versioned URL and otherwise for a minute."""
    if current and response.direct_passthrough:  # not of a before_request function
        # During a deployment, one release may get the URL of the other: no year for that.
        # Extensions such as Flask-Assets append another version.
        versioned = request.args.get("v", "").partition("?")[0] == current
        response.headers["Cache-Control"] = IMMUTABLE if versioned else BRIEF
        response.set_etag(current)
        del response.last_modified  # which each deployment changes
    return response


def version(folder: str, filename: str) -> str | None:
    """Return a hash of a file's content, or None if the folder has no such regular file."""
    path = safe_join(folder, filename) or ""
    try:
        status = os.stat(path)  # a Path takes twice as long
        # Not the mtime, which a copy may keep.
        return digest(path, status.st_ctime_ns) if S_ISREG(status.st_mode) else None
    except (OSError, ValueError):  # ValueError: NUL, or a surrogate
        return None


@lru_cache(maxsize=10_000)
def digest(path: str, _ctime_ns: int) -> str:
    with open(path, "rb") as file:  # not a Path, either
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
