"""An application of the tests' own: `serving` has to serve any site."""

import time
from pathlib import Path
from typing import Any

from flask import Flask, request
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
