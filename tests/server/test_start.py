"""Starting the site: every documented command, and what is wrong when it cannot start."""

import ast
import json
import re
import socket
from contextlib import closing
from http.client import HTTPConnection
from importlib.metadata import packages_distributions

import pytest

from tests.processes import PACKAGE, PROCFILE_COMMAND, ROOT, Server, procfile

pytestmark = pytest.mark.server
INSTALL = "which a deployment does not install: run .venv/bin/pipenv install"
DEVELOPMENT = ("flask run", "flask run --debug", "python -m blasto")


@pytest.mark.parametrize("command", DEVELOPMENT)
def test_every_documented_command_serves_the_site(command: str) -> None:
    with Server(f"{command} --port $PORT") as server:
        assert server.get().status < 400
    assert ("Debug mode: on" in server.output) == ("--debug" in command)


def test_every_package_that_the_site_imports_is_deployed() -> None:
    locked = json.loads((ROOT / "Pipfile.lock").read_text())["default"].keys()
    installed = packages_distributions()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.parse(file.read_bytes()).body:
            names = [it.name for it in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                found = installed.get(name.partition(".")[0], [])
                packages = [re.sub("[-_.]+", "-", it).lower() for it in found]
                is_locked = not found or not locked.isdisjoint(packages)
                assert is_locked, f"{file.name} imports {name}, {INSTALL} {packages[0]}"


def test_gunicorn_has_the_settings_that_platforms_need() -> None:
    server = Server(f"env -u PORT {PROCFILE_COMMAND} --print-config", WEB_CONCURRENCY="3")

    assert server.wait() == 0
    settings = dict(re.findall(r"^(\w+) += (.*)$", server.output, re.MULTILINE))
    assert settings["bind"].endswith(":8000']")
    assert settings["workers"] == "3"
    assert int(settings["keepalive"]) > 90, "Heroku's router keeps idle connections for 90 s"
    assert int(settings["graceful_timeout"]) < 10, "a container has 10 s between its signals"
    assert settings["control_socket_disable"] == "True", "it would be in the home directory"


def test_the_procfile_listens_on_both_ip_versions(site: Server) -> None:
    for host in ("127.0.0.1", *(["::1"] if socket.has_dualstack_ipv6() else [])):
        with closing(HTTPConnection(host, site.port, timeout=5)) as connection:
            connection.request("GET", "/")

            assert connection.getresponse().status < 400


INVALID = [
    *((command, "FLASK_HTTPS_ONLY=False") for command in ("flask run", "flask run --debug")),
    *((PROCFILE_COMMAND, f"{it}=False") for it in ("FLASK_HTTPS_ONLY", "LOG_ADDRESSES")),
    *((PROCFILE_COMMAND, it) for it in ("WEB_CONCURRENCY=0", "WEB_THREADS=", "PORT=99999")),
]


@pytest.mark.parametrize(("command", "setting"), INVALID)
def test_an_invalid_setting_ends_the_start_and_is_named(command: str, setting: str) -> None:
    variable, value = setting.split("=")
    server = Server(command, **{variable: value})

    assert server.wait() != 0
    assert f"{variable} must be " in server.output
    assert "Traceback" not in server.output


def test_any_other_error_ends_the_start_and_is_logged() -> None:
    server = procfile(app="tests.serving.conftest:fail()")

    assert server.wait() != 0
    assert "\n    RuntimeError: Working outside of" in server.output
