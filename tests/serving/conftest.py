"""An application of the tests' own, in process: `serving` has to serve any site."""

import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request, url_for
from flask.testing import FlaskClient
from jinja2 import DictLoader

from blasto import serving
from blasto.serving import cache_publicly


def make_app(static: Path | None = None, **config: Any) -> Flask:
    """Return an application with pages that are public, private, slow, large or failing."""
    app = Flask("specimen", static_folder=static and str(static), static_url_path="/static")
    app.config.from_mapping(config)
    app.jinja_loader = DictLoader({"error.html": "{{ error.code }} {{ request_id() }}"})
    serving.init_app(app)

    @app.get("/")
    @cache_publicly(seconds=60)
    def public() -> str:
        return "public " * 100

    @app.get("/private")
    def private() -> str:
        return "private " * 100

    @app.get("/sleep")
    def sleep() -> str:
        print("begun", flush=True)  # noqa: T201  # for the test that waits for it
        time.sleep(float(request.args["seconds"]))
        return "slept well"

    @app.get("/large")
    def large() -> bytes:
        return bytes(50_000_000)

    @app.get("/fail")
    def fail() -> str:
        app.logger.warning("%s", request.args["text"])
        raise ValueError(request.args["text"])

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
    """The versioned URL of the static file."""
    with app.test_request_context():
        return url_for("static", filename="text.txt")
