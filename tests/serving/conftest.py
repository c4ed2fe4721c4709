"""An application of the tests' own: `serving` has to serve any site."""

from pathlib import Path

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient
from jinja2 import DictLoader

from blasto import serving
from blasto.serving import cache_publicly


def make_app(static: Path | None = None, **config: object) -> Flask:
    """Return an application with a public page, a private one, and any static files."""
    app = Flask("specimen", static_folder=static and str(static), static_url_path="/static")
    app.config.from_mapping(config)
    app.jinja_loader = DictLoader({"error.html": "{{ error.code }} {{ request_id() }}"})
    app.add_url_rule("/public", "public", cache_publicly(seconds=60)(lambda: "public " * 100))
    app.add_url_rule("/private", "private", lambda: "private " * 100)
    serving.init_app(app)
    return app


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    (tmp_path / "text.txt").write_text("text " * 100)
    return make_app(tmp_path)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client(use_cookies=False)


@pytest.fixture
def versioned(app: Flask) -> str:
    """The versioned URL of a static file."""
    with app.test_request_context():
        return url_for("static", filename="text.txt")
