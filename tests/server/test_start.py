"""Starting the site: every documented command, and what is wrong when it cannot start."""

import shutil
import socket
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from tests.processes import PACKAGE, PROCFILE_COMMAND, ROOT, Server, free_port, procfile, until

pytestmark = pytest.mark.server


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the site to change."""
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name)
    shutil.copy(ROOT / ".flaskenv", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "flask run --port {port}",
        "python -m blasto --port {port}",
        f"{PROCFILE_COMMAND} --bind 127.0.0.1:{{port}}",
    ],
)
def test_every_documented_command_serves_the_site(command: str) -> None:
    port = free_port()

    with Server(command.format(port=port), port) as server:
        assert server.get().status < 400


def test_the_procfile_listens_on_both_ip_versions(site: Server) -> None:
    hosts = ["127.0.0.1", *(["::1"] if socket.has_dualstack_ipv6() else [])]
    for host in hosts:
        connection = HTTPConnection(host, site.port, timeout=5)
        connection.request("GET", "/")
        assert connection.getresponse().status < 400
        connection.close()


def test_in_debug_mode_a_change_is_served_after_a_reload(copy: Path) -> None:
    port = free_port()
    with Server(f"flask run --debug --port {port}", port, copy) as server:
        with (copy / "blasto" / "__init__.py").open("a") as file:
            file.write("\nAPP.add_url_rule('/specimen', 'specimen', lambda: 'reloaded')\n")

        def reloaded() -> bool:
            with suppress(OSError, HTTPException):  # the reload can reset a connection
                return server.get("/specimen").text == "reloaded"
            return False

        until(reloaded, 10)


COMMANDS = ("gunicorn", "flask run", "flask run --debug")


@pytest.mark.parametrize(
    ("command", "variable", "value", "advice"),
    [
        *((command, "FLASK_HTTPS_ONLY", "False", "1 or 0") for command in COMMANDS),
        *((command, "FLASK_TRUSTED_HOSTS", "http://a.test", "host names") for command in COMMANDS),
        ("gunicorn", "WEB_THREADS", "many", "a number"),
    ],
)
def test_an_invalid_setting_ends_the_start_and_is_named(
    command: str, variable: str, value: str, advice: str
) -> None:
    port = free_port()
    if command == "gunicorn":
        server = procfile(**{variable: value})
    else:
        server = Server(f"{command} --port {port}", port, **{variable: value})

    assert server.wait() != 0
    assert f"{variable} must be {advice}" in server.output
    assert "ClickException" not in server.output  # with its traceback
