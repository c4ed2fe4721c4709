"""Headers: those for security, which the site may replace, and how any are read and changed."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

import click
from werkzeug.wrappers import Response

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Body = Iterable[bytes]
MAX_FIELD = 500  # characters; a longer header is not parsed

# Nothing from elsewhere and nothing inline; a site adds sources in CONTENT_SECURITY_POLICY.
POLICY = {
    "default-src": "'none'",
    **dict.fromkeys(("connect-src", "font-src", "form-action", "frame-src"), "'self'"),
    **dict.fromkeys(("img-src", "manifest-src", "media-src", "script-src", "style-src"), "'self'"),
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # forms of Flask-WTF need the referrer within the site
    "X-Content-Type-Options": "nosniff",
}
HSTS = ("Strict-Transport-Security", "max-age=31536000")  # a year (RFC 6797)


class SecurityHeaders:
    """The headers that a response has if the site has not set its own."""

    def __init__(self, sources: Any) -> None:
        headers = [("Content-Security-Policy", policy(sources)), *HEADERS.items()]
        self.headers = {name.lower(): (name, value) for name, value in headers}

    def send(self, app: WSGIApplication, environ: Environ, start_response: StartResponse) -> Body:
        """Send the response of any application with the headers that it lacks."""

        def start(status: str, headers: Headers, *exc_info: Any) -> Any:
            present = {name.lower() for name, _ in headers}
            missing = [header for name, header in self.headers.items() if name not in present]
            if environ["wsgi.url_scheme"] == "https" and HSTS[0].lower() not in present:
                missing.append(HSTS)
            return start_response(status, headers + missing, *exc_info)

        return app(environ, start)


def policy(sources: Any) -> str:
    """Return the Content-Security-Policy with the sources that a site adds to its directives.

    Raises click.ClickException if they are anything but lists of sources by directive.
    """
    directives = dict(POLICY)
    for directive, added in sources.items() if isinstance(sources, Mapping) else [("", sources)]:
        text = " ".join(added) if isinstance(added, list | tuple) else str(added)
        if not (re.fullmatch("[a-z-]+", directive) and re.fullmatch("[ -+.-:<-~-]*", text)):
            raise click.ClickException(
                "CONTENT_SECURITY_POLICY must be lists of sources by directive, "
                f'such as {{"img-src": ["https://img.example.com"]}}, not {sources!r}.'
            )
        ours = directives.get(directive, "").replace("'none'", "")
        directives[directive] = f"{ours} {text}".strip()
    return "; ".join(f"{directive} {value}" for directive, value in directives.items())


def joined(headers: Headers) -> dict[str, str]:
    """Return the values by lower-case name, those of a repeated one joined (RFC 9110, 5.3)."""
    fields: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        fields[lower] = f"{fields[lower]}, {value}" if lower in fields else value
    return fields


def replaced(headers: Headers, fields: dict[str, str]) -> Headers:
    """Return the headers with other values for some names."""
    names = {name.lower() for name in fields}
    return [*(it for it in headers if it[0].lower() not in names), *fields.items()]


class Directives:
    """The directives of a Cache-Control that decide who may store a response (RFC 9111, 5.2.2)."""

    def __init__(self, cache_control: str) -> None:
        said = Response(headers={"Cache-Control": cache_control.lower()}).cache_control
        self.private = bool(said.private or said.no_store)
        self.shared = said.s_maxage is not None  # by a lifetime that is for shared caches alone
        self.public = not self.private and bool(said.public or self.shared)
        self.immutable = bool(said.immutable)
        self.no_transform = bool(said.no_transform)
        lifetimes = [0] if said.no_cache else [said.s_maxage, said.max_age]
        # Seconds, that of shared caches first; may be empty.
        self.lifetimes = [max(0, lifetime) for lifetime in lifetimes if lifetime is not None]


directives = lru_cache(Directives)
