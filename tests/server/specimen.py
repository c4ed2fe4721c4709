"""A site of the tests' own, with pages that take their time, served by the Procfile's command."""

import time

from flask import Flask, request
from jinja2 import DictLoader

from blasto import serving
from blasto.serving import cache_publicly

APP = Flask(__name__)
APP.config.from_prefixed_env()
APP.jinja_loader = DictLoader({"error.html": "<title>{{ error.code }}</title>{{ request_id() }}"})
serving.init_app(APP)


@APP.get("/")
@cache_publicly(seconds=60)
def index() -> str:
    return "index"


@APP.get("/sleep")
def sleep() -> str:
    print("begun", flush=True)
    time.sleep(float(request.args["seconds"]))
    return "slept well"


@APP.get("/huge")
def huge() -> bytes:
    return bytes(50_000_000)


@APP.get("/fail")
def fail() -> str:
    raise ValueError(request.args["text"])
