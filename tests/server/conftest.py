"""The specimen site, as Heroku runs it."""

from collections.abc import Iterator

import pytest

from tests.processes import HEROKU, Server, procfile


@pytest.fixture(scope="module")
def dyno() -> Iterator[Server]:
    with procfile(app="tests.server.specimen:APP", **HEROKU) as server:
        yield server


@pytest.fixture
def new_dyno() -> Iterator[Server]:
    """One that a test may kill."""
    with procfile(app="tests.server.specimen:APP", **HEROKU) as server:
        yield server
