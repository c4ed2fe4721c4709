"""`flask startproject` makes a complete site, or prints one message and leaves nothing behind."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from blasto.app import create_app

from tests.processes import PACKAGE, ROOT, Server, free_port
from tests.project.shell import run

pytestmark = pytest.mark.server

BIN = Path(sys.executable).parent
QUICK = f"{BIN}/pytest -q -m 'not server' -p no:cacheprovider"
LINT = f"{BIN}/ruff format --check && {BIN}/ruff check"
IDENTITY = {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "Ada"}
IDENTITY |= {"GIT_CONFIG_KEY_1": "user.email", "GIT_CONFIG_VALUE_1": "ada@site.test"}


def startproject(*arguments: object, cwd: Path = ROOT, before: str = "true") -> tuple[int, str]:
    """Run `flask startproject` as a shell does; return its exit status and its output."""
    command = f'{before}; exec "$0" startproject "$@"'
    done = subprocess.run(
        ["bash", "-c", command, BIN / "flask", *map(str, arguments)],
        cwd=cwd,
        env=os.environ | IDENTITY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A new site called `shop`."""
    status, output = startproject("shop", tmp_path / "site")
    assert status == 0, output
    return tmp_path / "site"


def rejected(*arguments: object) -> str:
    """Return the message with which arguments are rejected."""
    result = create_app().test_cli_runner().invoke(args=["startproject", *map(str, arguments)])
    assert result.exit_code == 2
    return result.output


def edit(file: Path, old: str, new: str) -> None:
    """Replace the first occurrence of a text in a file."""
    text = file.read_text()
    assert old in text, f"{file} has no {old!r}"
    file.write_text(text.replace(old, new, 1))


def test_a_new_site_has_nothing_that_is_about_this_project(site: Path) -> None:
    files = run("git ls-files", site).splitlines()

    assert run("git status --porcelain", site) == ""
    assert run("git log --format=%s", site).startswith(f"Start from {PACKAGE.name.title()} ")
    assert (
        run(f"grep -rilI -e {PACKAGE.name} -e startproject . --exclude-dir=.git || true", site)
        == ""
    )
    assert not {"LICENSE", "tests/project", "tests/tools"} & {*files, *map(os.path.dirname, files)}
    assert len(files) <= 50
    assert len((site / "README.md").read_text().splitlines()) <= 100
    assert os.access(site / ".ci" / "run", os.X_OK)
    scripts = tomllib.loads((site / "Pipfile").read_text())["scripts"]
    assert not [script for script in scripts.values() if "tests" in script]


def test_the_icon_of_a_new_site_is_its_own(site: Path) -> None:
    icon = (site / "shop" / "static" / "icon.svg").read_text()

    assert icon != (PACKAGE / "static" / "icon.svg").read_text()
    assert ET.fromstring(icon).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314


@pytest.mark.parametrize("name", ["web", "app", "alongnameoftwentyabc"])
def test_a_new_site_of_any_name_is_formatted_and_finds_its_app(tmp_path: Path, name: str) -> None:
    status, output = startproject(name, tmp_path / "site")
    assert status == 0, output

    run(f"{LINT} && {BIN}/flask routes", tmp_path / "site")


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
    edit(package / "templates" / "index.html", "Replace this headline", "Bread, every day")
    edit(package / "static" / "style.css", "--accent: #5a189a", "--accent: #003049")
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


@pytest.mark.parametrize("name", ["Shop", "my-shop", "9lives", "ab", "x" * 21, "é", "../evil", ""])
def test_a_name_that_cannot_be_a_package_is_rejected(tmp_path: Path, name: str) -> None:
    output = rejected(name, tmp_path / "new")

    assert "NAME must be 3 to 20 lower-case letters and digits, starting with a letter." in output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["class", "sys", "json", "flask", "tests", "pytest", PACKAGE.name])
def test_a_name_that_is_taken_is_rejected(tmp_path: Path, name: str) -> None:
    output = rejected(name, tmp_path / "new")

    assert f"{name!r} already has a meaning in Python. Choose another name." in output
    assert not list(tmp_path.iterdir())


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
    assert re.fullmatch(r"Error: Cannot write .*\.\n", output)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "before",
    [
        "unset ${!GIT_CONFIG_*}; export HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1 EMAIL=",
        "export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=broken",
        "export PATH=/nonexistent",
    ],
    ids=["no identity", "broken configuration", "no git"],
)
def test_if_git_does_not_commit_the_site_stays(tmp_path: Path, before: str) -> None:
    (tmp_path / "empty").mkdir()  # an existing directory will do if it is empty

    status, output = startproject("shop", tmp_path / "empty", before=before)

    assert status == 0
    assert (tmp_path / "empty" / "Procfile").exists()
    (message,) = [line for line in output.splitlines() if line.startswith("git did not commit")]
    shutil.rmtree(tmp_path / "empty" / ".git", ignore_errors=True)
    run(message.partition("run: ")[2], tmp_path, **IDENTITY)
    assert "Start from" in run("git log --format=%s", tmp_path / "empty")


def test_outside_a_git_checkout_it_makes_the_same_site(site: Path, tmp_path: Path) -> None:
    release = tmp_path / "release"
    shutil.copytree(ROOT, release, ignore=shutil.ignore_patterns(".git", ".venv", ".*_cache"))
    for local in (".env", ".venv/bin/python", f"{PACKAGE.name}/__pycache__/app.pyc"):
        (release / local).parent.mkdir(parents=True, exist_ok=True)
        (release / local).touch()

    status, output = startproject("shop", cwd=release)

    assert status == 0, output
    assert run("git ls-files", tmp_path / "shop") == run("git ls-files", site)
