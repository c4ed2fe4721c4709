"""The application factory and the pages."""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from flask import Blueprint, Flask, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from . import serving
from .names import InvalidNameError, NameConverter, normalize
from .picture import picture
from .serving import cache_publicly
from .startproject import startproject

pages = Blueprint("pages", __name__)


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Return the site: its settings from FLASK_* variables, then from `config`."""
    app = Flask(__name__)
    app.config.from_mapping(
        CONTENT_SECURITY_POLICY={},  # added sources, such as {"img-src": ["https://img.test"]}
        HTTPS_ONLY="DYNO" in os.environ,  # Heroku's router leaves the redirect to the site
        MAX_CONTENT_LENGTH=16 * 1024 * 1024,  # bytes of a body
        SESSION_COOKIE_SAMESITE="Lax",
    )
    app.config.from_prefixed_env()
    app.config.from_mapping(config)
    if app.config["HTTPS_ONLY"]:
        app.config["SESSION_COOKIE_SECURE"] = True
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.url_map.converters["name"] = NameConverter
    app.add_template_global(picture)
    app.register_blueprint(pages)
    app.cli.add_command(startproject)
    serving.init_app(app)
    return app


@pages.get("/")
@cache_publicly(seconds=60)
def index() -> ResponseReturnValue:
    """Ask for a name."""
    return render_template("index.html")


@pages.get("/user")
@pages.get("/user/<name:name>")
@cache_publicly(seconds=60)
def user(name: str | None = None) -> ResponseReturnValue:
    """Greet a name at its canonical URL; any other, such as the form's, redirects there."""
    text = request.args.get("name", "") if name is None else name
    try:
        name = normalize(text)
    except InvalidNameError as error:
        return render_template("index.html", text=text, error=error), 400
    url = url_for(".user", name=name)
    path = unquote(url.partition("?")[0])
    if text != name or request.root_path + request.path != path:
        return redirect(url, 301)
    return render_template("user.html", name=name, url=url)


@pages.get("/apple-touch-icon.png")
@pages.get("/favicon.ico")
@pages.get("/robots.txt")
@cache_publicly(seconds=60)
def root_file() -> ResponseReturnValue:
    """Send the static file of the same name, which clients look for at the root."""
    return current_app.send_static_file(request.path.removeprefix("/"))
