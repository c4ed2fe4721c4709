"""Serves any Flask site: settings, logs, errors, headers, compression and caching."""

import os
import re

import click
from flask import Flask

from . import assets, log, responses
from .cache import Cache
from .responses import cache_publicly

__all__ = ["cache_publicly", "init_app"]

HOST = re.compile(r"\.?[\w-]+(\.[\w-]+)*|\[[\da-f:.]+\]", re.IGNORECASE)


def init_app(app: Flask) -> None:
    """Set up serving for an application, which needs a template `error.html`.

    Raises click.ClickException if a setting is invalid.
    """
    check_settings(app)
    log.init_app(app)
    responses.init_app(app)
    assets.init_app(app)
    if not app.debug:
        app.wsgi_app = Cache(app.wsgi_app)  # type: ignore[method-assign]  # as Flask documents


def check_settings(app: Flask) -> None:
    """Check what is easily mistyped; an error names the variable and its values."""
    # On Heroku, where DYNO is set, the router leaves the redirect to HTTPS to the site.
    https_only = app.config.setdefault("HTTPS_ONLY", "DYNO" in os.environ)
    if https_only not in (True, False):  # 1 and 0 are equal to these
        raise click.ClickException(f"FLASK_HTTPS_ONLY must be 1 or 0, not {https_only!r}.")

    hosts = app.config["TRUSTED_HOSTS"]
    if hosts is None:
        return
    names = [name.strip().lower() for name in hosts.split(",")] if isinstance(hosts, str) else hosts
    if not (isinstance(names, list) and names and all(HOST.fullmatch(str(name)) for name in names)):
        raise click.ClickException(
            "FLASK_TRUSTED_HOSTS must be host names separated by commas, "
            f"such as www.example.com,.example.org, not {hosts!r}."
        )
    app.config["TRUSTED_HOSTS"] = names
