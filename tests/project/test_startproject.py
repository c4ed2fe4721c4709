"""`flask startproject` makes a complete site, or prints one message and leaves nothing behind."""

import os
import re
import resource
from functools import partial
from itertools import product
from pathlib import Path
from struct import pack
from textwrap import dedent
from zlib import crc32, decompressobj

import pytest
from flask import redirect, render_template_string

from blasto import icons
from blasto.app import create_app

from tests import sitemap
from tests.processes import PACKAGE, ROOT
from tests.project.conftest import FONT
from tests.project.shell import BIN, TREE, edit, rejected, run, startproject

QUICK = f"{BIN}/pytest -q -m 'not server'"
LINT = f"{BIN}/ruff format --check && {BIN}/ruff check"


# What a new site is


def test_a_new_site_has_nothing_that_is_about_this_project(made: Path, site: Path) -> None:
    contents = "git ls-files; grep --no-filename '^##' README.md"
    ours = run(contents, made / "blasto").replace("blasto", "shop").splitlines()
    theirs = run(contents, site).splitlines()
    words = (
        r"blasto|startproject|(newsite|icons)\.py|tests[./](project|tools)|--cov|PYTEST_ADDOPTS"
        r"|not in new sites|share\.png|og:image|twitter:card"
    )

    assert {re.sub(r"(project|tools)/.*", r"\1", each) for each in {*ours} ^ {*theirs}} == {
        *("LICENSE", ".coveragerc", ".github/index.png", ".github/user.png"),
        *("shop/startproject.py", "shop/newsite.py", "shop/icons.py", "shop/static/share.png"),
        *("tests/README.md", "tests/project", "tests/tools"),
        *("## Make it yours", "## What you get", "## Later versions"),
        *("### A container", "### A server of your own"),
    }
    found = run(f"grep -riIE -e '{words}' . --exclude-dir=.git", site)
    assert re.fullmatch(r"\./README\.md:Based on Blasto .*\n", found)
    assert (site / "shop" / "static" / "font.woff2").read_bytes() == FONT
    assert os.access(site / ".ci" / "run", os.X_OK)
    run("mkdir .venv instance && touch .env .venv/a instance/site.db", site)
    assert run("git status --porcelain --ignored", site) == "!! .env\n!! .venv/\n!! instance/\n"
    run(LINT, site)


def test_it_says_where_it_comes_from_and_how_to_run_it(checkout: Path, tmp_path: Path) -> None:
    run("git tag --annotate --message x v1 && echo >> Procfile", checkout)
    version = run("git log --format='Blasto %cs %h-dirty'", checkout).strip()
    install = (ROOT / "README.md").read_text().partition("```sh\n")[2].partition("\n")[0]
    shop = tmp_path / "a shop"
    shop.mkdir()
    before = shop.stat().st_ino

    created, *commands = startproject("shop", shop, root=checkout).split("\n    ")

    assert shop.stat().st_ino == before, "a shell may stand in the folder"
    assert created.startswith(f"Created Shop in {shop}.\n")
    assert commands == [f"cd '{shop}'", install, "heroku create && git push heroku main\n"]
    assert run("git log --format=%s main", shop) == f"Start from {version}\n"
    assert run("git status --porcelain", shop) == ""
    readme = (shop / "README.md").read_text()
    assert readme.startswith(f"# Shop\n\nA website, built with Flask.\n\nBased on {version}, ")


def test_the_first_page_of_a_new_site_welcomes_and_says_which_file_to_edit(made: Path) -> None:
    index = (made / "shop" / "shop" / "templates" / "index.html").read_text()

    for text in ('"Welcome"', '"The home page of Shop."', ">Welcome to Shop<"):
        assert text in index
    assert ">Change this page in <code>shop/templates/index.html</code>.<" in index


def test_the_icons_and_the_accent_of_a_new_site_are_those_of_its_name(made: Path) -> None:
    svg, png, ico, style = (
        (made / "shop" / "shop" / "static" / file).read_bytes()
        for file in ("icon.svg", "apple-touch-icon.png", "favicon.ico", "style.css")
    )
    head, data = png.split(b"IDAT")
    rows = decompressobj().decompress(data)

    assert b' xmlns="http://www.w3.org/2000/svg"' in svg
    assert ico == bytes.fromhex("000001000100 00000000 01000800") + pack("<2I", len(png), 22) + png
    assert crc32(head[:-4] + rows) == 1980064950, "An update would redraw every site's icons."
    assert data.endswith(b"IEND\xaeB`\x82")
    accents = re.findall("--accent: (.*);", style.decode())
    assert accents == [*icons.accents("Shop").values()]


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour such as #5a189a, as WCAG defines it."""
    parts = [(byte / 255 + 0.055) / 1.055 for byte in bytes.fromhex(colour[1:])]
    return float(sum(w * p**2.4 for w, p in zip((0.2126, 0.7152, 0.0722), parts, strict=True)))


def test_the_accent_of_any_name_has_a_contrast_of_7_in_both_schemes() -> None:
    style = (PACKAGE / "static" / "style.css").read_text()
    names = ("paper", "sheet", "on-accent")
    grounds = [re.findall(rf"--{name}: (#\w{{6}});", style) for name in names]

    accents = {tuple(icons.accents(str(number)).values()) for number in range(2000)}
    assert len(accents) > 250  # of 256 hues
    for accent, schemes in product(accents, grounds):
        for colours in zip(accent, schemes, strict=True):
            dark, light = sorted(map(luminance, colours))
            assert (light + 0.05) / (dark + 0.05) >= 7, f"{' on '.join(colours)}"


# What an owner does with it


def add_a_page(site: Path) -> tuple[str, str, str]:
    """Follow "Add a page" in the README; return the template, the view function and the link."""
    section = (site / "README.md").read_text().split("## Add a page\n")[1].split("\n## ")[0]
    blocks = re.findall(r" {3}```\w+\n(.*?) {3}```", section, re.DOTALL)
    template, view, link = map(dedent, blocks)
    (site / "shop" / "templates" / "about.html").write_text(template)
    with (site / "shop" / "app.py").open("a") as app:
        app.write(f"\n\n{view}")
    edit(site / "shop" / "templates" / "base.html", "</nav>", f"{link}</nav>")
    return template, view, link


# As Flask's documentation writes: without types, with an import in a function.
TUTORIAL = """

@pages.route("/bread/<int:id>", methods=["POST"])
def order(id, paid=False):
    from flask import flash

    flash("Thank you")
    return redirect(url_for("pages.index"))
"""


@pytest.mark.server
@pytest.mark.parametrize("name", ["web", "app", "alongnameoftwentyabc"])
def test_a_new_site_of_any_name_is_formatted_and_finds_its_app(tmp_path: Path, name: str) -> None:
    startproject(name, tmp_path / "site")

    run(f"{LINT} && {BIN}/flask routes", tmp_path / "site")


@pytest.mark.server
def test_a_page_and_the_edits_of_the_first_day_turn_no_test_red(site: Path) -> None:
    package = site / "shop"
    add_a_page(site)
    with (package / "app.py").open("a") as app:
        app.write(TUTORIAL)
    run(f"{LINT} && {BIN}/mypy shop/app.py", site)
    long = "<!-- .list--long --><p>What we do.</p>" * 80 + "<ul><li>Bread<li>Cake</ul>"
    table = "<table><tr><th>A<th>B<tr><td>1<td>2<tbody><template><tr><td>3</template></table>"
    top = "<a href='#top'>To the top</a> <a href='/#:~:text=Shop'>What it says</a>"
    form = "<form><label>Text <textarea name=text></textarea></label></form>"
    script = "<script src=\"{{ url_for('static', filename='my.js') }}\"></script>"
    style = "<link rel=stylesheet href=\"{{ url_for('static', filename='my.css') }}\">"
    urls = 'POLICY={}, SERVER_NAME="shop.test", PREFERRED_URL_SCHEME="https", APPLICATION_ROOT="/x"'
    for file, old, new in (
        ("app.py", "POLICY={}", urls),
        ("templates/about.html", "<p>", f"{long}{table}{form}{top}<p>"),
        ("templates/base.html", "</main>", "</main><hr><footer>Shop<br>Street 1</footer>"),
        ("templates/base.html", "</head>", f"{script}{style}</head>"),
        ("templates/base.html", 'lang="en"', 'lang="fa" dir="rtl"'),
        ("templates/base.html", "– Shop", "| The Corner Shop"),
        ("templates/index.html", "Welcome to Shop", "Bread, every day"),
        ("static/style.css", "--accent: ", "--accent: #003049; --mine: "),
    ):
        edit(package / file, old, new)
    for file, text in {
        "static/my.js": "console.log\n",
        "static/my.css": "{#bread { color: red }}\n",
        "../README.md": "Ours.\n",
    }.items():
        (package / file).write_text(text)

    run(f"{QUICK} tests/pages", site)


@pytest.mark.server
def test_greetings_can_be_taken_out(site: Path) -> None:
    run("rm shop/names.py shop/picture.py shop/templates/user.html tests/*/test_user.py", site)
    for file, mentions in {
        "app.py": r'@pages.get\("/user"\)\n.*?\n\n\n|from urllib.*?\n|from \.(names|picture) .*?\n'
        r"|    [^\n]*(NameConverter|template_global).*?\n|redirect, |, url_for",
        "templates/index.html": r"  <form.*?</form>\n|</section>\n<section.*?</ul>\n",
    }.items():
        text = (site / "shop" / file).read_text()
        (site / "shop" / file).write_text(re.sub(mentions, "", text, flags=re.DOTALL))

    run(f"{LINT} && {QUICK}", site)


# Texts of the README's page, what each becomes, and what the tests then report.
FAULTS = {
    "notitle": ("set title", "set no_title", "has no title of its own"),
    "nodescription": ("set description", "set no_description", "has an empty description"),
    "deadlink": ("<p>", '<p><a href="/no/page">No</a>', "/no/page, which is 404"),
    "deadfragment": ("<p>", '<p><a href="/#no">No</a>', "/#no, but / has no such id"),
    "feed": ("<p>", '<p><a href="/rss">Feed</a>', "/rss, which is not valid XML: no element"),
    "headlines": ("<p>", "<h1>Two</h1><p>", "has 2 of <h1>"),
    "markup": ("<p>", "<div>", "is not valid HTML"),
    "failing": ("<p>", "<p>{{ 1 / 0 }}", "fails with 500"),
    "form": ("<p>", "<form method=post></form><p>", "/form, which no view takes by POST"),
    "guarded": ("<p>", "<form method=post></form><p>", "which is rejected: No token"),
    "upload": ("<p>", "<form method=post><input type=file></form><p>", "sends no file"),
    "lost": ("<p>", "<form><input></form><p>", "it has no name"),
    "unsent": ("<p>", "<form><input name=a><input name=b></form><p>", "without a <button>"),
    "token": ("<p>", "<form><input type=hidden name=csrf_token></form><p>", "shows a password or"),
    "elsewhere": ("<p>", "<form action='https://pay.test'></form><p>", "which browsers block"),
    "scripted": ("<p>", "<p><a href='javascript:history.back()'>Back</a>", "use a <button>"),
    "signed": ("<p>", "<p>{{ 1 / 0 if session.user }}", "(signed(), signed in) fails"),
    "kept": ("<p>", "<p>{{ session.user }}", "is sent to the next visitor too"),
    "asked": ("<p>", "<a href=?q=1>1</a>{{ 1 / (request.args.q or 1) | int }}", "?q=x, which"),
    "paged": ("<p>", "<a href=?q=1>1</a>{{ 1 / request.args.get('q', 1, int) }}", "?q=0, which"),
    "found": ("<p>", "<a href=?q=1>1</a>{% if request.args %}<p><div>{% endif %}<p>", "?q=1 (f"),
    "ending": ("<p>", "<form><button formaction=/no>No</button></form><p>", "form for /no, which"),
    "srcset": ("<p>", '<img alt="" srcset="/icon.svg, /no/large.png 2x"><p>', "/no/large.png"),
    "favicon": ("<p>", "<link rel='shortcut icon' href=/no.ico><p>", "/no.ico, which is 404"),
    "htmx": ("<p>", "<p hx-delete=/>", "has hx-delete for /, which no view takes"),
    "orphan": ("<p>", "<p>", "cannot be reached from / by links"),
    "changing": ("<p>", "<p>{{ request.user_agent }}", "differs by visitor"),
    "part": ("<p>", "<p>{{ request.headers['HX-Request'] }}", "differs by visitor"),
    "near": ("<p>", "<p>{{ request.remote_addr }}", "differs by visitor"),
}

# Other views, and what the tests then report.
ANOTHER = 'render_template("headlines.html")'
VIEWS = {
    "half": ('partial(render_template, "headlines.html")', "has 2 of <h1>"),
    "profile": (f"lambda: {ANOTHER} if session else redirect('/')", "has 2 of <h1>"),
    "members": ("lambda: redirect(url_for('.index', next=request.path))", "asks to sign in"),
    "monitored": (f"lambda: {ANOTHER} if request.method == 'GET' else abort(400)", "400 for HEAD"),
    "loop": ("lambda: redirect(url_for('.loop'))", "redirects without end"),
    "midway": ("lambda: map(str.upper, ['<!doctype html>', 1])", "fails with 500: TypeError: "),
    "rss": ("lambda: ('<rss>', {'Content-Type': 'application/rss+xml'})", ""),
    "invite": ("lambda: redirect('https://chat.test/')", ""),
    "chat": ("lambda: redirect(url_for('.invite'))", ""),
}
MORE = """

from functools import partial

from flask import abort, session

@pages.before_request
def guard() -> None:
    if request.method == "POST":
        abort(400, "No token")

pages.add_url_rule("/twice", "one", lambda: "")
pages.add_url_rule("/twice", "two", lambda: "")

@pages.get("/item/<int(max=9):number>/<int:month>")
def item(number, month):
    return render_template({2: "headlines.html"}[month])
"""


@pytest.mark.server
def test_the_tests_of_a_new_site_report_the_faults_of_new_pages(site: Path) -> None:
    template, view, link = add_a_page(site)
    views, links = MORE, '<a href="/midway">Midway</a>'
    for name, (other, _report) in VIEWS.items():
        views += f'pages.add_url_rule("/{name}", "{name}", {other})\n'
    for name, (old, new, _report) in FAULTS.items():
        text = template.replace('"About"', f'"{name}"').replace("What this", name)
        (site / "shop" / "templates" / f"{name}.html").write_text(text.replace(old, new, 1))
        views += "\n\n" + view.replace("about", name)
        links += link.replace("about", name) if name != "orphan" else ""
    app = site / "shop" / "app.py"
    app.write_text(app.read_text() + views)
    for name in ("changing", "part", "near"):
        edit(app, f"def {name}(", f"@cache_publicly(seconds=60)\ndef {name}(")
    page = 'render_template("kept.html")'
    edit(app, page, f'current_app.extensions.setdefault("kept", {page})')
    edit(app, '@pages.get("/guarded")', '@pages.route("/guarded", methods=["GET", "POST"])')
    script = "<script src=\"{{ url_for('static', filename='icon.svg') }}\"></script>"
    edit(site / "shop" / "templates" / "base.html", "</nav>", f"{links}</nav>{script}")
    examples = site / "tests" / "pages" / "examples.py"
    edit(examples, "= {", '= {"pages.item": {"number": 1, "month": 2}, ')
    edit(examples, "return {}", 'return {"user": 1}')

    with pytest.raises(AssertionError) as failure:
        run(f"{QUICK} tests/pages/test_pages.py", site)

    reports = [(name, report) for name, (*_, report) in (FAULTS | VIEWS).items() if report]
    for name, report in [*reports, ("item", "leads to /item/1/1000000000, which fails")]:
        assert re.search(rf"/{name}\S* \({name}\(", str(failure.value))
        assert report in str(failure.value)
    assert "/twice is the URL of pages.one and pages.two" in str(failure.value)
    assert not re.search("/(chat|invite)", str(failure.value))
    assert "E   " not in str(failure.value), "a fault is a traceback"


def test_the_tests_report_what_hides_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app()
    app.before_request(lambda: redirect("https://localhost/"))
    monkeypatch.setattr(sitemap, "create_app", lambda: app)

    (problem,) = sitemap.Survey().problems

    assert problem.startswith("is 302 FOUND: a handler of every URL")


def test_the_tests_see_each_example_and_what_sign_in_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app()
    pages = {
        "open": "<!doctype html><main>{{ 'Bo' if session }}",
        "more": "<!doctype html><main>{% if session %}<form><button>Add</button></form>{% endif %}",
    }
    for name, page in pages.items():
        app.add_url_rule(f"/{name}", name, partial(render_template_string, page))
        monkeypatch.setitem(sitemap.EXAMPLES, name, {})
    app.add_url_rule("/reset/<token>", "reset", lambda token: redirect(f"/open?{token}"))
    monkeypatch.setitem(sitemap.EXAMPLES, "open", {"q": "all"})
    monkeypatch.setitem(sitemap.EXAMPLES, "reset", {"token": "old"})
    monkeypatch.setitem(sitemap.EXAMPLES, "pages.user", [{"name": "Ada"}, {"name": "Bo"}])
    monkeypatch.setattr(sitemap, "create_app", lambda: app)
    monkeypatch.setattr(sitemap, "prepare", lambda _: {"user": 1})

    found = sitemap.Survey()

    urls = [page.url for page in found.shown()]
    assert {"/open?q=all", "/more", "/user/Ada", "/user/Bo"} <= {*urls}
    assert (urls.count("/open?q=all"), urls.count("/more")) == (1, 2)
    ((problem, places),) = found.problems.items()
    assert problem.startswith("redirects to /open: change its example")
    assert places == ["/reset/old (reset())"]


# What is rejected

NAMES = ["Shop", "my-shop", "9lives", "ab", "x" * 21, "é", "../evil", "shop\n"]
# A keyword, modules that are here or on other systems, and parts of names in the lock.
TAKEN_NAMES = ["class", "sys", "winreg", "flask", "zope", "tests", "blasto", "python", "axe"]


REJECTED = [
    *(((name, "new"), "3 to 20 lower-case letters and digits") for name in NAMES),
    *(((name, "new"), f"{name!r} already has a meaning") for name in TAKEN_NAMES),
    (("web", "full"), "full already exists."),
    (("x" * 20, "file"), "file already exists."),
    (("shop", "no/folder"), "no does not exist."),
    (("shop", ROOT / "new"), "is inside this project."),
    ((), "Give either NAME or --update DIRECTORY."),
    (("shop", "--update", "full"), "Give either NAME or --update DIRECTORY."),
    (("--update", "no"), "does not exist."),
]


@pytest.mark.parametrize(("arguments", "message"), REJECTED)
def test_invalid_arguments_are_rejected_and_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    for file in ("file", "full/kept"):
        (tmp_path / file).touch()

    assert message in rejected(*arguments)
    assert {path.name for path in tmp_path.rglob("*")} == {"file", "full", "kept"}
    assert not (ROOT / "new").exists()


BAD_CHECKOUTS = [
    ("rm Procfile", "Procfile is missing. Run: git checkout -- Procfile"),
    ("rm -r .git", "blasto has no .git. Clone Blasto, and run this there."),
    ("sed -i 's/# Later versions/# Later/' README.md", "not 5: change REPLACED in newsite.py."),
]


@pytest.mark.parametrize(("before", "message"), BAD_CHECKOUTS)
def test_a_bad_checkout_is_named(checkout: Path, tmp_path: Path, before: str, message: str) -> None:
    run(before, checkout)

    assert rejected("shop", tmp_path / "new", root=checkout).endswith(message)
    assert not (tmp_path / "new").exists()


def test_a_picture_without_a_star_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(icons, "picture", lambda _: "<svg/>")

    message = rejected("shop", tmp_path / "new")

    assert message == "Error: STAR in icons.py matches no star of picture.py. Change STAR."


# Whatever the state of the machine


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # no file may be larger
    try:
        message = rejected("shop", tmp_path / "shop")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert re.fullmatch(r"Error: Cannot write the site: .+\.", message)
    assert not list(tmp_path.iterdir())


def test_if_git_does_not_commit_the_site_stays_and_says_what_git_says(tmp_path: Path) -> None:
    output = startproject("shop", tmp_path / "shop", GIT_COMMITTER_DATE="never")

    message, _, commands = output.partition("before you change anything, run:\n")
    assert "invalid date" in message
    run(commands.splitlines()[0], tmp_path)
    assert run("git log --format=%s", tmp_path / "shop").startswith("Start from Blasto")


def test_only_what_git_lists_is_copied_whatever_the_environment(made: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "blasto"
    run(f"git clone -q -c core.autocrlf=true {made}/blasto {checkout}")
    run("mkdir instance && touch .env.production instance/site.db", checkout)
    run("ln -s nobody@nowhere 'blasto/.#app.py'; mkfifo blasto/fifo; chmod -R a-w .", checkout)
    (tmp_path / "git").mkdir()
    (tmp_path / "git" / "ignore").write_text("*.svg\n")
    state = "git log --oneline --all; git status --porcelain; cat .git/config"
    before = run(state, checkout)

    startproject(
        "shop",  # beside the checkout
        root=checkout,
        XDG_CONFIG_HOME=str(tmp_path),
        GIT_DIR=f"{checkout}/.git",  # as in a hook
        GIT_INDEX_FILE=f"{checkout}/.git/index",
    )

    assert run(state, checkout) == before
    assert run(TREE, tmp_path / "shop") == run(TREE, made / "shop")
    assert run("git status --porcelain --ignored", tmp_path / "shop") == ""
