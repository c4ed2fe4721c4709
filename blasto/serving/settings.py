"""Settings: the defaults of what Flask does not have, and checks of what is easily mistyped."""

import os
import re

import click
from flask import Flask

HOST = re.compile(r"\.?[\w-]+(\.[\w-]+)*|\[[\da-f:.]+\]", re.IGNORECASE)


def init_app(app: Flask) -> None:
    """Raise click.ClickException if a setting is invalid; it names the variable and its values."""
    # Heroku sets DYNO; its router redirects nothing to HTTPS itself.
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
