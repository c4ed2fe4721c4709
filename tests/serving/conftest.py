"""An application of the tests' own, in process: `serving` has to serve any site."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request, send_file, session, url_for
from flask.testing import FlaskClient
from jinja2 import DictLoader
from werkzeug.test import TestResponse

from blasto import serving
from blasto.serving import cache_publicly


class Client(FlaskClient):
    """Reads responses to their end, which closes files, unless told otherwise."""

    def open(self, *args: Any, buffered: bool = True, **kwargs: Any) -> TestResponse:
        return super().open(*args, buffered=buffered, **kwargs)


def make_app(static: Path | None = None, **config: Any) -> Flask:  # noqa: C901  # its views
    """Return an application with pages that are public, private, slow, large or failing."""
    app = Flask("specimen.app", static_folder=static and str(static), static_url_path="/static")
    app.test_client_class = Client
    app.config.from_mapping({"HTTPS_ONLY": True} if "DYNO" in os.environ else {})
    app.config.from_mapping({"SECRET_KEY": "secret", **config})
    app.jinja_loader = DictLoader({"error.html": "<h1>{{ error.code }}</h1>{{ request_id() }}"})
    serving.init_app(app)

    @app.get("/")
    @cache_publicly(seconds=60)
    def public() -> str:
        return "public " * 100

    @app.route("/private", methods=["GET", "POST"])
    def private() -> str:
        return "private " * 100

    @app.get("/address")
    def address() -> str:
        return f"{request.remote_addr} {request.url}"

    @app.post("/upload")
    def upload() -> str:
        return str(len(request.form))

    @app.get("/session")
    def sign_in() -> str:
        session.permanent = True
        session["name"] = "Bo"
        return "signed in"

    @app.get("/sleep")
    def sleep() -> str:
        print("begun", flush=True)  # noqa: T201  # for the test that waits for it
        time.sleep(float(request.args["seconds"]))
        return "slept well"

    @app.get("/spin")
    def spin() -> str:
        while True:
            pass

    @app.get("/stream")
    def stream() -> Iterator[str]:
        while True:  # until its client is gone
            yield "line\n"
            time.sleep(0.2)

    @app.get("/large")
    def large() -> bytes:
        return bytes(50_000_000)

    @app.get("/message")
    def message() -> str:
        return "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"

    @app.get("/file")
    def file() -> Response:
        return send_file(__file__)

    @app.get("/fail")
    def fail() -> str:
        app.logger.warning("%s", request.args["text"])
        raise ValueError(request.args["text"])

    return app


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    (tmp_path / "text.txt").write_text("text " * 100)
    (tmp_path / "picture.png").write_bytes(bytes(range(200)))
    return make_app(tmp_path)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client(use_cookies=False)


def url_of(app: Flask, filename: str | None, endpoint: str = "static") -> str:
    """Return the versioned URL of a static file."""
    with app.test_request_context():
        return url_for(endpoint, filename=filename)
