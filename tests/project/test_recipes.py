"""The README's "When you need more": a shop with all of it, behind TLS."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from textwrap import dedent, indent

import pytest
from playwright.sync_api import Browser, BrowserContext, Response, expect

from tests.conftest import SETTINGS, require_program
from tests.processes import HEROKU, ROOT, Server, free_port, until
from tests.project.shell import BIN, edit, run
from tests.project.test_deploy import route, router

pytestmark = pytest.mark.server

SECTION = (ROOT / "README.md").read_text().split("\n## When you need more\n")[1].split("\n## ")[0]
NEEDS = re.findall(r"(?m)^- .*?, with (.+?): (.+?); then ((?:(?:, )?`[^`]+`)+)", SECTION)
PACKAGES, TOP, FACTORY = (
    re.findall(r"`([^`]+)`", " ".join(parts)) for parts in zip(*NEEDS, strict=True)
)
DEFAULTS, LANGUAGE = map(dedent, re.findall(r"```python\n(.*?) *```", SECTION, re.DOTALL))
# A package of PyPI's that contains htmx.
HTMX = "django-htmx", "django_htmx/static/django_htmx/htmx-4.min.js"


def words(start: str) -> str:
    """Return the code in the README that begins like this."""
    return next(text for text in re.findall(r"`([^`\n]+)`", SECTION) if text.startswith(start))


# What the owner adds to app.py, and the templates.
VIEWS = """
import time
from datetime import date

from flask import Response, flash, jsonify
from flask_login import UserMixin, login_required, login_user


class User(db.Model, UserMixin):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String)


login_manager.user_loader(lambda user_id: db.session.get(User, int(user_id)))


@pages.route("/join", methods=["GET", "POST"])
def join():
    if request.method != "POST":
        return render_template("join.html")
    user = User(name=request.form["name"])
    db.session.add(user)
    db.session.commit()
    login_user(user, remember=True)
    flash("Welcome!")
    return redirect(url_for(".index"))


@pages.get("/days/<int(min=1, max=31):day>")
@cache_publicly(seconds=60)
def day(day):
    return render_template("day.html", day=date(2026, 1, day))


account = login_required(lambda: render_template("account.html"))
pages.add_url_rule("/account", "account", account)
pages.add_url_rule("/live", "live", lambda: render_template("live.html"))
pages.add_url_rule("/row", "row", lambda: "<li>Another</li>")
pages.add_url_rule("/events", "events", lambda: STREAM)


def generator():
    yield "data: first\\n\\n"
    while True:
        time.sleep(1)
        yield ": still here\\n\\n"


@pages.post("/api/bread")
@csrf.exempt
def bread():
    return {"loaves": 1 / request.get_json()["loaves"]}


@pages.get("/api/rare")
@limiter.limit("1 per day", on_breach=lambda _: jsonify(busy=True))
def rare():
    return {"busy": False}
"""
MESSAGES = "{% for text in get_flashed_messages() %}<p role=status>{{ text }}</p>{% endfor %}"
TEMPLATES = {
    "join": f"""<form method="post">{words("<input")}<label>Name <input name="name"></label>
        <button>Join</button></form>""",
    "account": "<p>You are {{ current_user.name }}.</p>",
    "day": "<p>{{ day | dateformat }}</p>",
    "live": f"""<p id="event">None</p><img src="ELSEWHERE/icon.svg" alt="A map">
        <ul><li>One</li></ul><button hx-get="/row" hx-target="ul" hx-swap="beforeend">More</button>
        {words("<script")}{words("<script").replace("htmx.min.js", "live.js")}""",
}
LIVE = """new EventSource("/events").onmessage =
    event => { document.querySelector("#event").textContent = event.data; };"""
IMPORTS = "from flask_migrate import upgrade\n\nfrom shop.app import User, db\n"
PREPARE = """    upgrade()
    db.session.add(User(name="Ada"))
    db.session.commit()
    return {"_user_id": "1"}
"""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Server]:
    """Another host, which sends pictures, and logs the error reports that it is sent."""
    files = ROOT / "blasto" / "static"
    with Server(f"python -m http.server --bind 127.0.0.1 --directory {files} $PORT") as server:
        yield server


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of a database: PostgreSQL's if it is installed."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not programs:
        yield "sqlite:///site.db"
        return
    folder, port, user = mkdtemp(), free_port(), ""
    if os.getuid() == 0:  # whom PostgreSQL refuses
        shutil.chown(folder, "postgres")
        user = "runuser -u postgres --"
    pg_ctl = f"{user} {programs[-1]} --pgdata {folder}/data --log {folder}/log --wait"
    run(f"{pg_ctl} init --options '--username shop --auth trust'", Path(folder))
    run(f"{pg_ctl} start --options '-p {port} -k {folder}'", Path(folder))
    yield f"postgres://shop@127.0.0.1:{port}/postgres"
    run(f"{pg_ctl} stop --mode fast && rm -r {folder}", Path(folder))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, elsewhere: Server) -> Path:
    """A new site to which everything is added, with its packages beside it."""
    site = tmp_path_factory.mktemp("new") / "shop"
    packages = site.parent / "packages"
    run(f"{BIN}/flask startproject shop {site}")
    run(f"{BIN}/pip install --quiet --target {packages} {' '.join(PACKAGES)}")
    run(f"{BIN}/pip install --quiet --target {packages} --no-deps {HTMX[0]}")
    shutil.copy(packages / HTMX[1], site / "shop" / "static" / "htmx.min.js")
    (site / "shop" / "static" / "live.js").write_text(LIVE)

    imports = [line for line in TOP if re.match("from |import ", line)]
    objects = [line for line in TOP if line not in imports]
    links = "".join(f'<a href="/{url}">{url}</a>' for url in ("join", "account", "days/6", "live"))
    views = VIEWS.replace("STREAM", words("Response(generator()"))
    origin = f"http://127.0.0.1:{elsewhere.port}"
    for name, old, new in (
        ("shop/app.py", "from . import", "\n".join([*imports, "from . import"])),
        ("shop/app.py", "pages =", "\n".join([*objects, "pages ="])),
        ("shop/app.py", "\ndef create_app", f"{LANGUAGE}\n\ndef create_app"),
        ("shop/app.py", "    app.config.from_p", indent(f"{DEFAULTS}app.config.from_p", "    ")),
        ("shop/app.py", "POLICY={}", f"POLICY={{'img-src': ['{origin}']}}"),
        ("shop/app.py", "    serving.init", indent("\n".join([*FACTORY, "serving.init"]), "    ")),
        ("shop/app.py", '\n@pages.get("/")', f'{views}\n\n@pages.get("/")'),
        ("shop/templates/base.html", '<html lang="en">', words("<html")),
        ("shop/templates/base.html", "</nav>", f"{links}</nav>{MESSAGES}"),
        ("tests/pages/examples.py", "= {", '= {"pages.day": {"day": 6}, '),
        ("tests/pages/examples.py", "    return {}\n", PREPARE),
        ("tests/pages/examples.py", "Flask\n", f"Flask\n{IMPORTS}"),
        ("Procfile", "web:", f"{words('release:')}\nweb:"),
    ):
        edit(site / name, old, new)
    for name, body in TEMPLATES.items():
        head = f'{{% extends "base.html" %}}{{% set title, description = "{name}", "Our {name}" %}}'
        page = f"{head}{{% block main %}}<h1>{name}</h1>{body}{{% endblock %}}"
        file = site / "shop" / "templates" / f"{name}.html"
        file.write_text(page.replace("ELSEWHERE", origin))
    env = {"FLASK_APP": "shop", "FLASK_SECRET_KEY": "a key", "PYTHONPATH": str(packages)}
    run(f"{BIN}/flask db init && {BIN}/flask db migrate", site, **env)
    return site


@pytest.fixture(scope="module")
def visitor(
    shop: Path, elsewhere: Server, database: str, browser: Browser
) -> Iterator[BrowserContext]:
    """A visitor of the site, which the Procfile runs behind a router that terminates TLS."""
    openssl = require_program("openssl", "openssl")
    folder = shop.parent
    run(f"{openssl} req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout key -out cert", folder)
    env = {
        **HEROKU,
        "DATABASE_URL": database,
        "FLASK_APP": "shop",
        "FLASK_SECRET_KEY": "a key",
        "PYTHONPATH": f"{folder}/packages",
        "SENTRY_DSN": f"http://key@127.0.0.1:{elsewhere.port}/1",
        "WEB_CONCURRENCY": "2",
    }
    storable = []

    def note(response: Response) -> None:
        headers = response.all_headers()
        if "set-cookie" in headers and headers["cache-control"] != "no-store":
            storable.append(f"{response.url}: {headers}")

    with pytest.MonkeyPatch.context() as patch:
        for name in SETTINGS:
            patch.delenv(f"FLASK_{name}")
        release, web = re.findall(r"(?m)^\w+: (.*)", (shop / "Procfile").read_text())
        run(f"PATH={BIN}:$PATH; {release}", shop, **env)
        run(f"{BIN}/ruff check --exclude shop/app.py", shop)
        server = Server(web, shop, **env)
    route(folder, server)
    nginx = router(folder, "ssl; ssl_certificate cert; ssl_certificate_key key")
    origin = f"https://127.0.0.1:{nginx.port}"
    with server, nginx, browser.new_context(base_url=origin, ignore_https_errors=True) as context:
        context.on("response", note)
        yield context
    assert not storable
    assert server.output.count("Traceback") == 1  # of the error that is reported


def test_a_sign_in_survives_closing_the_browser(visitor: BrowserContext) -> None:
    tab = visitor.new_page()
    tab.goto("/join")
    tab.get_by_label("Name").fill("Bo")
    tab.get_by_role("button").click()

    expect(tab.get_by_role("status")).to_have_text("Welcome!")  # on a page that is public
    tab.reload()
    expect(tab.get_by_role("status")).to_have_count(0)
    assert all(cookie["secure"] and cookie["httpOnly"] for cookie in visitor.cookies())
    visitor.clear_cookies(name="session")  # which a browser forgets
    tab.goto("/account")
    expect(tab.locator("main")).to_contain_text("You are Bo.")


def test_two_languages_never_mix(visitor: BrowserContext) -> None:
    for language, text in [("es", "6 ene 2026"), ("en", "Jan 6, 2026")] * 2:
        response = visitor.request.get("/days/6", headers={"Accept-Language": language})

        assert text in response.text()
        assert f'<html lang="{language}">' in response.text()
        assert "Accept-Language" in response.headers["vary"]


def test_a_stream_a_fragment_and_a_picture_from_elsewhere_arrive(visitor: BrowserContext) -> None:
    tab = visitor.new_page()
    tab.goto("/live")

    expect(tab.locator("#event")).to_have_text("first")  # of a response that has no end
    tab.get_by_role("button").click()
    expect(tab.locator("main li")).to_have_text(["One", "Another"])
    assert tab.locator("main img").evaluate("image => image.naturalWidth")
    tab.close()


def test_an_api_has_json_errors_and_an_extension_its_own(visitor: BrowserContext) -> None:
    missing = visitor.request.get("/api/none", headers={"Accept": "application/json"})
    rare = [visitor.request.get("/api/rare").json() for _ in range(3)]  # of two workers
    made = visitor.request.post("/api/bread", data={"loaves": 2})

    assert missing.headers["content-type"] == "application/problem+json"
    assert {"busy": True} in rare
    assert (missing.status, made.json()) == (404, {"loaves": 0.5})


def test_an_error_is_reported(visitor: BrowserContext, elsewhere: Server) -> None:
    assert visitor.request.post("/api/bread", data={"loaves": 0}).status == 500

    until(lambda: "POST /api/1/envelope" in elsewhere.output, 10)


def test_the_tests_of_the_site_are_green(shop: Path) -> None:
    tests = "tests/pages/test_pages.py tests/browser/test_pages.py::test_it_loads_without_an_error"

    run(f"{BIN}/pytest -q {tests}", shop, PYTHONPATH=str(shop.parent / "packages"))
