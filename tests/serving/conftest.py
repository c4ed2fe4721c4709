"""An application of the tests' own, in process: `serving` has to serve any site."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from flask import Flask, current_app, render_template_string, request, send_file
from flask.testing import FlaskClient
from jinja2 import DictLoader
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.shared_data import SharedDataMiddleware
from werkzeug.test import TestResponse

from blasto import serving
from blasto.serving import cache_publicly

View = Callable[..., Any]
Patch = pytest.MonkeyPatch


class Client(FlaskClient):
    """Reads responses to their end, which closes files, unless told otherwise."""

    def open(self, *args: Any, buffered: bool = True, **kwargs: Any) -> TestResponse:
        return super().open(*args, buffered=buffered, **kwargs)


@cache_publicly(seconds=60)
def public() -> str:
    return "public " * 100


def serve(
    view: View = public,
    static: Path | None = None,
    before: Callable[[Flask], object] | None = None,
    **config: Any,
) -> FlaskClient:
    """Return a client without cookies for an application with one page, at `/`.

    `before` is what the site does before it calls init_app().
    """
    app = Flask("specimen.app", static_folder=static, static_url_path="/static")
    app.test_client_class = Client
    app.config.from_mapping(config)
    if before:
        before(app)
    app.jinja_loader = DictLoader({"error.html": "<h1>{{ error.code }}</h1>{{ request_id() }}"})
    serving.init_app(app)
    app.add_url_rule("/", "page", view, methods=["GET", "POST"])
    return app.test_client(use_cookies=False)


def address() -> str:
    return f"{request.remote_addr} {request.url}"


def fail() -> str:
    current_app.logger.warning("%s", request.args["text"])
    raise ValueError(request.args["text"])


def sleep() -> str:
    print("begun", flush=True)
    time.sleep(float(request.args["seconds"]))
    return "slept well"


def spin() -> str:
    while True:
        pass


def stream() -> Iterator[str]:
    while True:  # until its client is gone
        yield "line\n"
        time.sleep(0.2)


def flood() -> Iterator[bytes]:
    while True:  # faster than its client reads
        yield bytes(500)
        time.sleep(0)  # others next


def stubborn() -> str:
    with suppress(HTTPException):
        request.get_data()
    time.sleep(60)  # whatever has become of its client
    return ""


def make_app() -> Flask:
    """Return the application that tests of real servers run."""
    film = TemporaryFile()  # open as long as the application
    film.truncate(50_000_000)
    closed = TemporaryFile()
    closed.close()
    views: dict[str, View] = {
        **{view.__name__: view for view in (fail, flood, sleep, spin, stream, stubborn)},
        "closed": lambda: send_file(closed, "text/plain"),
        "file": lambda: send_file(f"/dev/fd/{film.fileno()}", "video/mp4"),
        "large": lambda: bytes(50_000_000),
        "message": lambda: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        "read": lambda: str(len(request.get_data())),
    }
    app = serve(HTTPS_ONLY="DYNO" in os.environ).application
    for name, view in views.items():
        app.add_url_rule(f"/{name}", name, view, methods=["GET", "POST"])
    app.wsgi_app = SharedDataMiddleware(app.wsgi_app, {"/shared": str(Path(__file__).parent)})
    return app


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    (tmp_path / "text.txt").write_text("text " * 100)
    (tmp_path / "picture.png").write_bytes(bytes(range(200)))
    return serve(static=tmp_path).application


def url_of(app: Flask, filename: str | None, endpoint: str = "static") -> str:
    """Return the URL of a static file, as a template gets it."""
    template = "{{ url_for(endpoint, filename=filename) }}"
    with app.test_request_context():
        return render_template_string(template, endpoint=endpoint, filename=filename)
