"""Compares the site with what people would use instead: `python -m tests.tools.benchmark`.

Every peer has one process of the same Python, gunicorn's gevent worker and its access log, but
FastAPI has uvicorn with its own, and `alike` is the constant with the site's configuration. Each
figure compares requests in a second of processor time within one round; the table has the median
and the range of the rounds.
"""

import os
import platform
import re
import subprocess
import venv
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from blasto.app import create_app

from tests.conftest import require_program
from tests.processes import PACKAGE, PROCFILE_COMMAND, ROOT, Server, procfile

ROUNDS, SECONDS = 9, 2
# Whether each peer is compared by a new name too, beside a page from the cache.
NAMES = {"constant": False, "alike": False, "bare": True, "extensions": True, "fastapi": False}
FOLDER = ROOT / ".benchmark"
NEW = ("-s", str(FOLDER / "new_names.lua"))
PEERS = """
from runpy import run_path

from flask import Flask, render_template, request
from flask_compress import Compress
from flask_talisman import Talisman
from fastapi import FastAPI, Request
from fastapi.templating import Jinja2Templates

def constant(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "5")])
    return [b"hello"]

bare = Flask("bare")
bare.add_url_rule("/user/<name>", "user", lambda name: f"hello {name}")

extensions = Flask("extensions", root_path="{PACKAGE}")
extensions.jinja_env.globals["picture"] = run_path("{PACKAGE}/picture.py")["picture"]
Talisman(extensions, force_https=False)
Compress(extensions)
extensions.add_url_rule("/", "pages.index")

@extensions.get("/user/<path:name>", endpoint="pages.user")
def user(name):
    return render_template("user.html", name=name)

@extensions.after_request
def add_etag(response):
    response.add_etag()
    return response.make_conditional(request)

fastapi = FastAPI()
templates = Jinja2Templates(directory=".")

@fastapi.get("/user/{name}")
async def fastapi_user(request: Request, name: str):
    return templates.TemplateResponse(request, "page.html", {"name": name})
"""
NEW_NAMES = """
local started, count = os.time(), 0
request = function()
    count = count + 1
    return wrk.format("GET", "/user/" .. started .. "x" .. count)
end
"""


def install() -> Path:
    """Return a Python with the peers and the site's packages, installed once."""
    python = FOLDER / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(FOLDER / "venv", with_pip=True)
        peers = ["fastapi", "uvicorn[standard]", "jinja2", "flask-talisman", "flask-compress"]
        site = ["flask", "gunicorn[gevent]", "python-dotenv"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *peers, *site], check=True)
    Path(NEW[1]).write_text(NEW_NAMES)
    (FOLDER / "peers.py").write_text(PEERS.replace("{PACKAGE}", str(PACKAGE)))
    page = create_app().test_client().get("/user/Bo").text.replace("Bo", "{{ name }}")
    (FOLDER / "page.html").write_text(page)
    return python


def peer(python: Path, name: str) -> Server:
    """Start a peer; `extensions` renders the site's own templates."""
    command = "gunicorn --bind 127.0.0.1:$PORT --worker-class gevent --keep-alive 95"
    command += f" --access-logfile - peers:{name}"
    if name == "fastapi":
        command = "uvicorn --port $PORT peers:fastapi"
    elif name == "alike":
        command = PROCFILE_COMMAND.replace("blasto:APP", "peers:constant")
        command = command.replace("blasto/serving", f"{PACKAGE}/serving")
    return Server(f"{python} -m {command}", FOLDER, WEB_CONCURRENCY="1")


def cpu_seconds(server: Server) -> float:
    """Return the processor time that all processes of a server have taken."""
    stats = [Path(f"/proc/{pid}/stat").read_text() for pid in server.processes()]
    ticks = [sum(map(int, stat.rpartition(")")[2].split()[11:13])) for stat in stats]
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


def rate(server: Server, *script: str) -> float:
    """Return how many requests a server answers in a second of processor time."""
    url = f"http://127.0.0.1:{server.port}/user/Bo"
    options = ["-t1", "-c8", f"-d{SECONDS}s", "-HAccept-Encoding: gzip", *script]
    before = cpu_seconds(server)
    report = subprocess.check_output([require_program("wrk", "wrk"), *options, url], text=True)
    server.lines.clear()
    assert "Non-2xx" not in report, report
    return int(re.findall(r"(\d+) requests in", report)[0]) / (cpu_seconds(server) - before)


def main() -> None:
    del os.environ["FLASK_SECRET_KEY"]  # the peers have none, and so no sessions
    python = install()
    rows: defaultdict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        site = stack.enter_context(procfile(WEB_CONCURRENCY="1"))
        etag = site.get("/user/Bo", "HEAD", {"Accept-Encoding": "gzip"}).headers["ETag"]
        peers = {name: stack.enter_context(peer(python, name)) for name in NAMES}
        for number in range(ROUNDS):
            hot, new = rate(site), rate(site, *NEW)
            rows["304 / page from the cache"].append(rate(site, f"-HIf-None-Match: {etag}") / hot)
            for name, has_names in NAMES.items():
                rows[f"page from the cache / {name}"].append(hot / rate(peers[name]))
                if has_names:
                    rows[f"new name / {name}"].append(new / rate(peers[name], *NEW))
            print(f"round {number + 1} of {ROUNDS}")
    print(f"Python {platform.python_version()} on {os.cpu_count()} cores")
    for row, ratios in rows.items():
        print(f"| {row} | {median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |")


if __name__ == "__main__":
    main()
