"""The tests' settings, and fixtures: the application, its client and pages, and servers."""

import atexit
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import pytest
from dotenv import dotenv_values
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

from tests.processes import HEROKU, ROOT, SPECIMEN, Server, procfile

FOLDER = TemporaryDirectory(prefix="tests-")  # each run has a database of its own
atexit.register(FOLDER.cleanup)

# The site's settings in every test: in process, in the servers, and so in the browser. They are
# set in the environment, and the variables below are removed from it.
SETTINGS: dict[str, Any] = {
    "SECRET_KEY": "only for tests",
    "SQLALCHEMY_DATABASE_URI": f"sqlite:///{FOLDER.name}/tests.db",
    "RATELIMIT_ENABLED": False,
    "SESSION_PROTECTION": None,
    # The tests request http://localhost/, whatever URLs the site has elsewhere.
    "SERVER_NAME": None,
    "PREFERRED_URL_SCHEME": "http",
    "APPLICATION_ROOT": "/",
    "SESSION_COOKIE_DOMAIN": None,
    "SESSION_COOKIE_PATH": None,
    "SESSION_COOKIE_NAME": "session",
}
NOT_INHERITED = (
    *("FLASK_", "WERKZEUG_", "GUNICORN_", "GIT_", "PORT", "WEB_", "DYNO", "FORWARDED_ALLOW_IPS"),
    *("LOG_ADDRESSES", "DATABASE_URL", "SENTRY_", "PYTHONUNBUFFERED"),
)
IN_DOTENV = dotenv_values(ROOT / ".env").keys() - {"PATH"}  # which `pipenv run` adds as well
for name in [name for name in os.environ if name.startswith(NOT_INHERITED) or name in IN_DOTENV]:
    del os.environ[name]
os.environ |= {f"FLASK_{name}": json.dumps(value) for name, value in SETTINGS.items()}
os.environ["FLASK_SKIP_DOTENV"] = "1"
os.environ["FLASK_APP"] = dotenv_values(ROOT / ".flaskenv").get("FLASK_APP") or ""
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost"
settings.register_profile("tests", deadline=None)  # no test depends on the machine's speed
settings.load_profile("tests")

try:
    from blasto.app import create_app  # which makes an application

    create_app()
except Exception as error:
    error.add_note("If `flask run` starts, the cause is in the settings in tests/conftest.py.")
    raise

from tests.sitemap import survey


def require_program(program: str, package: str) -> str:
    """Return the path of a program; without it, skip the test with advice."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    return path or skip_or_fail(f"{program} is not installed: run apt-get install {package}")


def skip_or_fail(advice: str) -> NoReturn:
    """Skip a test that this machine cannot run; in CI, fail it."""
    if os.environ.get("CI"):
        pytest.fail(advice)
    pytest.skip(advice)


@pytest.fixture(autouse=True)
def _site_stands(request: pytest.FixtureRequest) -> None:
    """Skip tests that need the index and the error page if these fail; one says why."""
    is_other = request.function.__name__ != "test_every_route_can_be_tested"
    if is_other and request.path.parent.name in {"pages", "server"}:
        require_pages()


def require_pages() -> None:
    if survey().is_blocked:
        pytest.skip("no page renders: see test_every_route_can_be_tested")


@pytest.fixture(scope="session")
def _prepared() -> None:
    """Fill the database, before anything that a test replaces."""
    survey()


@pytest.fixture
def app(_prepared: None) -> Flask:
    require_pages()
    return create_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client(use_cookies=False)


@pytest.fixture(scope="session")
def dyno() -> Iterator[Server]:
    """The specimen application, as Heroku runs it."""
    with procfile(app=SPECIMEN, **HEROKU) as server:
        yield server


@pytest.fixture(scope="session")
def threads() -> Iterator[Server]:
    """The same with threads in place of greenlets."""
    with procfile(app=SPECIMEN, WEB_THREADS="8", **HEROKU) as server:
        yield server


@pytest.fixture(scope="session")
def site() -> Iterator[Server]:
    """The site, served by the Procfile's command."""
    require_pages()
    with procfile(LOG_ADDRESSES="1") as server:
        yield server
    _, traceback, rest = server.output.partition("Traceback")
    assert not traceback, rest[:5000]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = require_program("chromium", "chromium")
    with ExitStack() as stack:
        try:
            playwright = stack.enter_context(sync_playwright())
            browser = playwright.chromium.launch(
                executable_path=chromium,
                args=[
                    *("--disable-quic", "--disable-background-networking", "--disable-sync"),
                    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing gets out
                ],
            )
        except Exception as error:  # whatever is missing, it is not the site's fault
            reason = str(error).partition("\n")[0]
            skip_or_fail(f"Chromium does not start ({reason}): run apt-get install chromium")
        yield stack.enter_context(browser)
