"""The specimen application in process, with one static file."""

from pathlib import Path

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient

from tests.specimen import make_app


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
