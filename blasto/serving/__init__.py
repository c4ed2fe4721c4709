"""Serves any Flask site: settings, logs, errors, headers, compression and caching."""

from flask import Flask

from . import assets, log, responses, settings
from .cache import Cache
from .responses import cache_publicly

__all__ = ["cache_publicly", "init_app"]


def init_app(app: Flask) -> None:
    """Set up serving for an application, which needs a template `error.html`.

    Raises click.ClickException if a setting is invalid.
    """
    settings.init_app(app)
    log.init_app(app)
    # Flask calls after_request functions in reverse: responses finishes what assets sets.
    responses.init_app(app)
    assets.init_app(app)
    if not app.debug:
        app.wsgi_app = Cache(app.wsgi_app)  # type: ignore[method-assign]  # as Flask documents
