"""Serves any Flask site: requests checked, responses cached, errors explained, events logged."""

from functools import partial

from flask import Flask

from . import assets, errors, log
from .cache import Cache, cache_publicly
from .gate import Gate, limit_headers
from .headers import SecurityHeaders

__all__ = ["cache_publicly", "init_app"]


def init_app(app: Flask) -> None:
    """Set up serving for an application, which may have a template `error.html`.

    Raises click.ClickException if a setting is invalid.
    """
    log.init_app(app)
    errors.init_app(app)
    assets.init_app(app)
    # Inside out: a request passes the gate first, and the cache sees a response last.
    headers = SecurityHeaders(app.config.get("CONTENT_SECURITY_POLICY", {}))
    site = partial(headers.send, partial(limit_headers, app.wsgi_app))
    app.wsgi_app = Gate(app, Cache(app, site), headers)
