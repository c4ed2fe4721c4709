"""Fixtures for all tests: the application, its client, and the Procfile's server."""

import os
import shutil
from collections.abc import Iterator
from typing import NoReturn

import pytest
from flask import Flask
from flask.testing import FlaskClient

from blasto.app import create_app

from tests.processes import HEROKU, Server, procfile


def require_program(program: str, package: str) -> str:
    """Return the path of a program; without it, skip the test with advice."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    return path or skip_or_fail(f"{program} is not installed: run apt-get install {package}")


def skip_or_fail(advice: str) -> NoReturn:
    """Skip a test that this machine cannot run; in CI, fail it."""
    if os.environ.get("CI"):
        pytest.fail(advice)
    pytest.skip(advice)


@pytest.fixture
def app() -> Flask:
    return create_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client(use_cookies=False)


@pytest.fixture(scope="module")
def dyno() -> Iterator[Server]:
    """The specimen application, as Heroku runs it."""
    with procfile(app="tests.serving.conftest:make_app()", **HEROKU) as server:
        yield server


@pytest.fixture
def new_dyno() -> Iterator[Server]:
    """One that a test may kill."""
    with procfile(app="tests.serving.conftest:make_app()", **HEROKU) as server:
        yield server


@pytest.fixture(scope="session")
def site() -> Iterator[Server]:
    """The site, served by the Procfile's command."""
    with procfile() as server:
        yield server
    assert "Traceback" not in server.output
