"""The headers that every response carries, and the way from HTTP to HTTPS."""

from flask import current_app, redirect, request
from werkzeug.wrappers import Response

HEADERS = {
    # Nothing but what the pages use, and neither frames nor foreign forms around it.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
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


def secure(response: Response) -> Response:
    """Add the headers, and over HTTPS the promise to stay there for two years (RFC 6797)."""
    response.headers.update(HEADERS)
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=63072000"
    return response


def require_https() -> Response | None:
    """Redirect what the router received over plain HTTP to the same address over HTTPS."""
    if current_app.config["HTTPS_ONLY"] and request.headers.get("X-Forwarded-Proto") == "http":
        return redirect(request.url.replace("http", "https", 1), 301)
    return None
