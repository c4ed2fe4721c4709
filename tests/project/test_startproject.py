"""`flask startproject` makes a complete site, or prints one message and leaves nothing behind."""

import os
import re
import shutil
import socket
import textwrap
import tomllib
import zlib
from itertools import product
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from blasto import icons
from blasto.app import create_app

from tests.processes import PACKAGE, ROOT, Server, free_port
from tests.project.shell import BIN, IDENTITY, edit, make_checkout, make_site, run, startproject

pytestmark = pytest.mark.server

QUICK = f"{BIN}/pytest -q -m 'not server' -p no:cacheprovider"
LINT = f"{BIN}/ruff format --check && {BIN}/ruff check"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A new site called `shop`."""
    return make_site("shop", tmp_path / "site")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_checkout(tmp_path / "blasto")


def rejected(*arguments: object) -> str:
    """Return the message with which arguments are rejected."""
    result = create_app().test_cli_runner().invoke(args=["startproject", *map(str, arguments)])
    assert result.exit_code == 2
    return result.output


# The site


def test_a_new_site_has_nothing_that_is_about_this_project(site: Path) -> None:
    files = run("git ls-files", site).splitlines()

    assert not {"LICENSE", "tests/project", "tests/tools"} & {*files, *map(os.path.dirname, files)}
    assert len(files) <= 60
    assert os.access(site / ".ci" / "run", os.X_OK)
    scripts = tomllib.loads((site / "Pipfile").read_text())["scripts"]
    assert not [script for script in scripts.values() if "tests" in script]
    words = f"{PACKAGE.name}|startproject|share\\.png|newsite|icons\\.py"
    assert run(f"grep -riIE '{words}' . --exclude-dir=.git --exclude=README.md || true", site) == ""
    assert run("git status --porcelain --ignored", site) == ""


def test_the_readme_of_a_new_site_is_its_own_and_names_the_version_it_comes_from(
    site: Path,
) -> None:
    readme = (site / "README.md").read_text()

    version = run("git log --format=%s", site).removeprefix("Start from ").strip()
    assert re.fullmatch(r"Blasto \d{4}-\d\d-\d\d [0-9a-f]{7,}(-dirty)?", version)
    assert [line for line in readme.splitlines() if "blasto" in line.lower()] == [
        f"Started from {version}."
    ]
    assert readme.startswith("# Shop\n")
    assert len([line for line in readme.splitlines() if line]) <= 180
    headings = re.findall("^##+ (.*)", readme, re.MULTILINE)
    assert {"Run", "Add a page", "Configure", "When you need more"} < {*headings}
    assert not {"Make it yours", "Later versions", "Maintain", "Performance"} & {*headings}


def test_the_first_page_of_a_new_site_welcomes_and_says_which_file_to_edit(site: Path) -> None:
    index = (site / "shop" / "templates" / "index.html").read_text()

    assert "<h1>Welcome to Shop</h1>" in index
    file = re.findall("<code>(.*)</code>", index)[0]
    assert (site / file).read_text() == index


def test_the_icons_of_a_new_site_are_drawn_from_its_name(site: Path) -> None:
    static, ours = site / "shop" / "static", PACKAGE / "static"
    for file in ("icon.svg", "apple-touch-icon.png", "favicon.ico", "style.css"):
        assert (static / file).read_bytes() != (ours / file).read_bytes()

    svg = (static / "icon.svg").read_text()
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314
    png = (static / "apple-touch-icon.png").read_bytes()
    assert (static / "favicon.ico").read_bytes().endswith(png)
    width, height = (int.from_bytes(png[start : start + 4]) for start in (16, 20))
    start = png.index(b"IDAT") + 4
    rows = zlib.decompress(png[start : start + int.from_bytes(png[start - 8 : start - 4])])
    assert (width, height, len(rows)) == (256, 256, 256 * 257)
    assert rows[1] == 0  # paper in the corner, and all three stars
    assert {*rows} == {0, 1, 2, 3}


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour such as #5a189a, as WCAG defines it."""
    parts = [(byte / 255 + 0.055) / 1.055 for byte in bytes.fromhex(colour[1:])]
    return float(sum(w * p**2.4 for w, p in zip((0.2126, 0.7152, 0.0722), parts, strict=True)))


def test_the_accent_of_any_name_has_a_contrast_of_7_in_both_schemes() -> None:
    style = (PACKAGE / "static" / "style.css").read_text()
    grounds = [
        re.findall(rf"--{name}: (#\w{{6}});", style) for name in ("paper", "sheet", "on-accent")
    ]
    assert [len(schemes) for schemes in grounds] == [2, 2, 2], "style.css has other colours"

    accents = {tuple(icons.accents(str(number)).values()) for number in range(2000)}
    assert len(accents) > 250  # of 256 hues
    for accent, schemes in product(accents, grounds):
        for colours in zip(accent, schemes, strict=True):
            dark, light = sorted(map(luminance, colours))
            assert (light + 0.05) / (dark + 0.05) >= 7, f"{' on '.join(colours)}"


@pytest.mark.parametrize("name", ["web", "app", "alongnameoftwentyabc"])
def test_a_new_site_of_any_name_is_formatted_and_finds_its_app(tmp_path: Path, name: str) -> None:
    site = make_site(name, tmp_path / "site")

    run(f"{LINT} && {BIN}/flask routes", site)


# What an owner does with it

ABOUT = """
@pages.get("/echo")
def echo() -> ResponseReturnValue:
    \"\"\"Say what the owner wants.\"\"\"
    return render_template("echo.html")
"""
LONG_PAGE = """{{% extends "base.html" %}}
{{% set title = "Echo" %}}
{{% set description = "A page of the owner's own." %}}
{{% block main %}}
<h1>Echo</h1>
{paragraphs}
<ul><li>One<li>Two</ul>
<table><tr><th>A<th>B<tr><td>1<td>2</table>
<form method="post">
<label>Text <textarea name="text"></textarea></label><button>Send</button>
</form>
{{% endblock %}}
"""


def test_the_edits_of_the_first_day_turn_no_test_red(site: Path) -> None:
    package = site / "shop"
    base, app = package / "templates" / "base.html", package / "app.py"
    link = "<a href=\"{{ url_for('pages.echo') }}\">Echo</a>"
    script = "<script src=\"{{ url_for('static', filename='my.js') }}\"></script>"
    style = script.replace("script src", "link rel=stylesheet href").replace("my.js", "my.css")
    for old, new in {
        "      </nav>": f"        {link}\n      </nav>",
        "    </main>": "    </main>\n    <hr>\n    <footer>Shop<br>Street 1</footer>",
        "  </head>": f"    {script}\n    {style.removesuffix('</script>')}\n  </head>",
        'lang="en"': 'lang="fa" dir="rtl"',
        "– Shop": "| The Corner Shop",
    }.items():
        edit(base, old, new)
    edit(package / "templates" / "index.html", "Welcome to Shop", "Bread, every day")
    edit(package / "static" / "style.css", "--accent: ", "--accent: #003049; --mine: ")
    paragraphs = "<p>What the owner has to say.</p>\n" * 80
    (package / "templates" / "echo.html").write_text(LONG_PAGE.format(paragraphs=paragraphs))
    (package / "static" / "my.js").write_text("console.log\n")
    (package / "static" / "my.css").write_text("{#bread { color: red }}\n")
    (package / "prices.py").write_text("BREAD = 3\n")
    (site / "README.md").write_text("Ours.\n")
    app.write_text(f"{app.read_text()}\n{ABOUT}")

    run(QUICK, site)


def test_greetings_can_be_taken_out(site: Path) -> None:
    package = site / "shop"
    for file in (
        *(package / name for name in ("names.py", "picture.py", "templates/user.html")),
        *site.glob("tests/*/test_user.py"),
    ):
        file.unlink()
    app, index = package / "app.py", package / "templates" / "index.html"
    text = re.sub(r'@pages.get\("/user"\)\n.*?\n\n\n', "", app.read_text(), flags=re.DOTALL)
    text = re.sub(r"from urllib.*\n|from \.(names|picture) .*\n", "", text)
    text = re.sub(r".*(NameConverter|template_global).*\n", "", text)
    app.write_text(text.replace("redirect, ", "").replace(", request, url_for", ", request"))
    text = re.sub(
        r"  <form.*</form>\n|</section>\n<section.*</ul>\n", "", index.read_text(), flags=re.DOTALL
    )
    index.write_text(text)

    run(f"{LINT} && {QUICK}", site)


# Texts of the README's page, what each becomes, and what the tests then report.
FAULTS = {
    "notitle": ("set title", "set no_title", "has no title of its own"),
    "nodescription": ("set description", "set no_description", "has an empty description"),
    "deadlink": ("<p>", '<p><a href="/no/page">No</a>', "/no/page, which is 404"),
    "deadfragment": ("<p>", '<p><a href="/#no">No</a>', "/#no, but / has no such id"),
    "headlines": ("<p>", "<h1>Two</h1><p>", "has 2 of <h1>"),
    "markup": ("<p>", "<div>", "is not valid HTML"),
    "failing": ("<p>", "<p>{{ 1 / 0 }}", "fails with 500"),
    "orphan": ("<p>", "<p>", "No chain of links leads from / to"),
    "changing": ("<p>", "<p>{{ request.user_agent }}", "differs by visitor"),
}


def test_the_tests_of_a_new_site_report_the_faults_of_new_pages(site: Path) -> None:
    page, link = add_a_page(site)
    base, app = site / "shop" / "templates" / "base.html", site / "shop" / "app.py"
    view = app.read_text().partition('@pages.get("/about")')
    for name, (old, new, _report) in FAULTS.items():
        text = page.read_text().replace('"About"', f'"{name}"').replace("What this", name)
        (page.parent / f"{name}.html").write_text(text.replace(old, new, 1))
        added = f"{view[1]}{view[2]}".replace("about", name)
        app.write_text(f"{app.read_text()}\n\n{added}")
        if name != "orphan":
            edit(base, "</nav>", f"{link.replace('about', name)}</nav>")
        if name == "changing":
            edit(
                app, f'@pages.get("/{name}")', f'@pages.get("/{name}")\n@cache_publicly(seconds=60)'
            )

    with pytest.raises(AssertionError) as failure:
        run(f"{QUICK} tests/pages/test_pages.py", site)

    for name, (*_, report) in FAULTS.items():
        assert report in str(failure.value)
        assert f"/{name} ({name}()" in str(failure.value)


def add_a_page(site: Path) -> tuple[Path, str]:
    """Follow "Add a page" in the README; return the template and the link."""
    section = (site / "README.md").read_text().split("## Add a page\n")[1].split("\n## ")[0]
    template, view, link = (
        textwrap.dedent(block)
        for block in re.findall(r" {3}```\w+\n(.*?) {3}```", section, re.DOTALL)
    )
    app = site / "shop" / "app.py"
    file = site / "shop" / "templates" / "about.html"
    file.write_text(template)
    app.write_text(f"{app.read_text()}\n\n{view}")
    edit(site / "shop" / "templates" / "base.html", "</nav>", f"{link}</nav>")
    return file, link


def test_the_steps_to_add_a_page_are_enough(site: Path) -> None:
    add_a_page(site)

    run(f"{LINT} && {QUICK}", site)
    command = (site / "Procfile").read_text().removeprefix("web: ")
    port = free_port()
    with Server(command, port, site, PORT=str(port)) as server:
        assert "<h1>About" in server.get("/about").text


# What is rejected


@pytest.mark.parametrize("name", ["Shop", "my-shop", "9lives", "ab", "x" * 21, "é", "../evil"])
def test_a_name_that_cannot_be_a_package_is_rejected(tmp_path: Path, name: str) -> None:
    output = rejected(name, tmp_path / "new")

    assert "NAME must be 3 to 20 lower-case letters and digits, starting with a letter." in output
    assert not list(tmp_path.iterdir())


TAKEN = ["class", "sys", "json", "winreg", "flask", "zope", "pytest", "boolean", "tests", "blasto"]


@pytest.mark.parametrize("name", TAKEN)
def test_a_name_that_is_taken_is_rejected(tmp_path: Path, name: str) -> None:
    output = rejected(name, tmp_path / "new")

    assert f"{name!r} already has a meaning in Python. Choose another name." in output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [(), ("shop", "--update", ROOT), ("--update", ROOT / "no")])
def test_arguments_without_a_meaning_are_rejected(arguments: tuple[object, ...]) -> None:
    assert "Error: " in rejected(*arguments)


def test_a_directory_where_something_would_be_lost_is_rejected(tmp_path: Path) -> None:
    full, file = tmp_path / "full", tmp_path / "file"
    full.mkdir()
    (full / "kept").write_text("kept")
    file.write_text("kept")

    for directory in (full, file, ROOT / "inside", ROOT, tmp_path / "no" / "folder"):
        assert re.search(r"^Error: .*\.\n$", rejected("shop", directory), re.MULTILINE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"]
    assert (full / "kept").read_text() == file.read_text() == "kept"
    assert not (ROOT / "inside").exists()


# Whatever the state of the machine


@pytest.mark.parametrize(
    ("place", "before"),
    [("/proc/shop", "true"), ("{}/shop", "unset ${!COV*}; ulimit -f 20")],
    ids=["proc", "full"],
)
def test_a_directory_that_cannot_be_written_is_left_as_it_was(
    tmp_path: Path, place: str, before: str
) -> None:
    status, output = startproject("shop", place.format(tmp_path), before=before)

    assert status == 1
    assert re.fullmatch(r"Error: Cannot make the site: .*\.\n", output)
    assert not list(tmp_path.iterdir())


def test_a_shell_may_stand_in_the_empty_folder(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    before = folder.stat().st_ino

    status, output = startproject("shop", ".", before=f"export FLASK_APP={PACKAGE}; cd {folder}")

    assert status == 0, output
    assert folder.stat().st_ino == before
    assert run("git status --porcelain", folder) == ""


@pytest.mark.parametrize(
    ("before", "advice"),
    [
        ("unset ${!GIT_*}; export HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1 EMAIL=", "user.email"),
        ("export GIT_COMMITTER_DATE=never", "invalid date"),
    ],
    ids=["no identity", "something else"],
)
def test_if_git_does_not_commit_the_site_stays_and_says_what_git_says(
    tmp_path: Path, before: str, advice: str
) -> None:
    status, output = startproject("shop", tmp_path / "shop", before=before)

    assert status == 0
    message, _, command = output.partition("When git is set up, run:\n")
    assert advice in message
    run(command.splitlines()[0], tmp_path, **IDENTITY)
    assert "Start from" in run("git log --format=%s", tmp_path / "shop")


def test_without_git_or_a_checkout_one_message_says_what_is_missing(
    checkout: Path, tmp_path: Path
) -> None:
    target = tmp_path / "shop"
    without_git = startproject("shop", target, before="PATH=/nonexistent")
    (checkout / "Procfile").unlink()
    without_a_file = startproject("shop", target, cwd=checkout)
    (checkout / "Procfile").symlink_to("/nonexistent")
    with_a_dangling_link = startproject("shop", target, cwd=checkout)
    shutil.rmtree(checkout / ".git")
    without_a_checkout = startproject("shop", target, cwd=checkout)

    for (status, output), what in {
        without_git: "'git'",
        without_a_file: "git checkout -- Procfile",
        with_a_dangling_link: "git checkout -- Procfile",
        without_a_checkout: "Clone",
    }.items():
        assert status
        assert re.fullmatch(r"Error: .*\n", output)
        assert what in output
    assert not target.exists()


def test_only_what_git_lists_is_copied_whatever_the_state_of_the_checkout(
    checkout: Path, tmp_path: Path
) -> None:
    tree = run("git rev-parse HEAD^{tree}", make_site("shop", tmp_path / "plain", checkout))

    run("git clone --quiet --config core.autocrlf=true blasto crlf", tmp_path)
    assert b"\r\n" in (tmp_path / "crlf" / "Procfile").read_bytes()
    for file in (".env.production", "instance/site.db", "node_modules/a/b.js", "venv/bin/python"):
        (checkout / file).parent.mkdir(parents=True, exist_ok=True)
        (checkout / file).write_text("secret")
    (checkout / "blasto" / ".#app.py").symlink_to("nobody@nowhere")
    os.mkfifo(checkout / "blasto" / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(checkout / "socket"))
    run("chmod -R a-w .", checkout)
    for copy in (checkout, tmp_path / "crlf"):
        site = make_site("shop", tmp_path / f"from-{copy.name}", copy)
        assert run("git rev-parse HEAD^{tree}", site) == tree
        assert run("git status --porcelain --ignored", site) == ""
    run("chmod -R u+w .", checkout)


def test_called_from_a_git_hook_it_leaves_the_repository_of_the_hook_alone(
    checkout: Path, tmp_path: Path
) -> None:
    state = "git log --oneline --all; git status --porcelain; cat .git/config"
    before = run(state, checkout)
    hook = f"export GIT_DIR={checkout}/.git GIT_INDEX_FILE={checkout}/.git/index"

    status, output = startproject("shop", tmp_path / "shop", before=hook)

    assert status == 0, output
    assert run(state, checkout) == before
    assert run("git log --format=%s", tmp_path / "shop").startswith("Start from")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("templates/index.html", "<h1>", "<h2>"),
        ("static/style.css", "--accent: ", "--colour: "),
        ("picture.py", "oklch(", "hsl("),
        ("../README.md", "## Maintain", "## Care"),
    ],
)
def test_a_replacement_that_finds_nothing_to_replace_is_named(
    checkout: Path, tmp_path: Path, file: str, old: str, new: str
) -> None:
    edit(checkout / "blasto" / file, old, new)

    status, output = startproject("shop", tmp_path / "shop", cwd=checkout)

    assert status == 1
    assert re.fullmatch(r"Error: .*(newsite|icons)\.py.*\n", output)
    assert Path(file).name in output
    assert not (tmp_path / "shop").exists()
