"""What the site is measured against: the least that the same server and framework can do."""

from typing import TYPE_CHECKING

from flask import Flask

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BODY = b"Hello"
HEADERS = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(BODY)))]


def constant(_environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
    start_response("200 OK", list(HEADERS))
    return [BODY]


flask = Flask(__name__)


@flask.get("/")
@flask.get("/user/<name>")
def hello(name: str = "") -> str:  # noqa: ARG001
    return "Hello"
