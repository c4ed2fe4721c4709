"""The headers that every response carries, and the way from HTTP to HTTPS."""

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256

from flask import current_app, redirect, request
from werkzeug.wrappers import Response


def secure(style: str) -> Callable[[Response], Response]:
    """Return a function that adds the headers to a response; they allow this one inline style."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    headers = {
        # Only what the pages use, and what reads robots.txt from inside a page, as Lighthouse
        # does. Forms lead nowhere else, and nobody frames the pages.
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self'; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        # What a script could ask for if there ever were one.
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Permitted-Cross-Domain-Policies": "none",
    }

    def add_headers(response: Response) -> Response:
        response.headers.extend(headers)
        if request.is_secure:  # stay there for two years (RFC 6797)
            response.headers["Strict-Transport-Security"] = "max-age=63072000"
        return response

    return add_headers


def require_https() -> Response | None:
    """Redirect what the router received over plain HTTP to the same address over HTTPS."""
    if current_app.config["HTTPS_ONLY"] and request.headers.get("X-Forwarded-Proto") == "http":
        return redirect(request.url.replace("http", "https", 1), 301)
    return None
