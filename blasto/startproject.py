"""`flask startproject`: this site again, under a name of its own."""

import getpass
import importlib.util
import json
import keyword
import re
import shlex
import shutil
import subprocess
import tempfile
from fnmatch import fnmatch
from pathlib import Path

import click
from flask import get_template_attribute

PACKAGE = "blasto"
ROOT = Path(__file__).parent.parent
RUN = (
    "python3 -m venv .venv && .venv/bin/pip install --quiet pipenv && .venv/bin/pipenv sync"
    " && .venv/bin/flask run"
)
PICTURES = re.compile(r'^<img src="\.github/.*\n+', re.MULTILINE)


class Refusal(click.ClickException):
    """What was asked for cannot be meant: one line on standard error, exit status 2."""

    exit_code = 2


@click.command()
@click.argument("name")
@click.argument("directory", type=click.Path(path_type=Path), required=False)
def startproject(name: str, directory: Path | None) -> None:
    """Start a new site from this one, called NAME.

    DIRECTORY is where to put it: by default a folder NAME beside this one. It must not exist
    yet, or be empty.

    The new site is a git repository with one commit: complete, tested and ready to push.
    """
    check_name(name)
    target = (directory or ROOT.parent / name).resolve()
    check_directory(target)
    try:
        files = project_files()
        # Made out of sight and then put in place whole, or not at all.
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target.parent) as folder:
            site = Path(folder) / name
            for file in files:
                copy(file, site, name)
            draw_mark(site, name)
            commit(site)
            site.replace(target)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise click.ClickException(f"{error.filename or target}: {reason}.") from None
    except subprocess.CalledProcessError as error:
        raise click.ClickException(f"git: {error.stderr.strip()}") from None
    click.echo(f"{name.title()} is in {target}: {len(files)} files, in a git repository.\n")
    click.echo("Go there, run it, and push it:\n")
    click.echo(f"    cd {shlex.quote(str(target))}")
    click.echo(f"    {RUN}")
    click.echo("    heroku create && git push heroku main")


def check_name(name: str) -> None:
    """Refuse what cannot be both a package and the first label of a host name, or is taken."""
    if reason := fault(name):
        good = re.sub(r"^[^a-z]+|[^a-z0-9]", "", name.lower())[:16] or "nextsite"
        if fault(good):
            good += "site"
        raise Refusal(f"{name!r} {reason}. {good!r} would do.")


def fault(name: str) -> str | None:
    if not re.fullmatch(r"[a-z][a-z0-9]{2,19}", name):
        return "is not 3 to 20 lower-case letters and digits, a letter first"
    if keyword.iskeyword(name):
        return "is a word of the Python language"
    lock = json.loads((ROOT / "Pipfile.lock").read_text())
    if importlib.util.find_spec(name) or name in lock["develop"]:
        return "is the name of a package that the site uses"
    return None


def check_directory(target: Path) -> None:
    """Refuse a place where something would be lost."""
    if target.is_relative_to(ROOT):
        raise Refusal(f"{target} is inside this project. Choose a place beside it.")
    if not target.parent.is_dir():
        raise Refusal(f"There is no folder {target.parent}. Make it first.")
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise Refusal(f"{target} is there already. Choose another place, or empty it.")


def project_files() -> list[Path]:
    """Return what git tracks; outside a checkout, every file that .gitignore does not name.

    Both leave out the pictures of this site that its README shows.
    """
    if (ROOT / ".git").exists():
        tracked = git("ls-files", "-z", cwd=ROOT).split("\0")
        files = [ROOT / name for name in tracked if name and (ROOT / name).exists()]
    else:
        ignored = [".git", *(ROOT / ".gitignore").read_text().replace("/", "").split()]
        files = [
            file
            for file in sorted(ROOT.rglob("*"))
            if file.is_file()
            and not any(
                fnmatch(part, pattern)
                for part in file.relative_to(ROOT).parts
                for pattern in ignored
            )
        ]
    return [file for file in files if not file.match(".github/*.png")]


def copy(file: Path, site: Path, name: str) -> None:
    """Copy a file into the new site, its path and its text renamed; a binary one as it is."""
    new = site / rename(str(file.relative_to(ROOT)), name)
    new.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, new)
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError:
        return
    new.write_text(rename(PICTURES.sub("", text), name), "utf-8")


def rename(text: str, name: str) -> str:
    """Put a name in the place of this site's, and another than it where the next is started."""
    text = text.replace(PACKAGE, name).replace(PACKAGE.title(), name.title())
    return text.replace(f"startproject {name}", f"startproject {name}2")


def draw_mark(site: Path, name: str) -> None:
    """Make the picture of the new site's name its mark: its icon, and at the top of its pages."""
    mark = get_template_attribute("picture.html", "picture")(name.title())
    attributes = 'xmlns="http://www.w3.org/2000/svg" stroke-linejoin="round"'
    svg = mark.replace('aria-hidden="true"', attributes, 1)
    (site / name / "static" / "icon.svg").write_text(f"{svg}\n")


def commit(site: Path) -> None:
    """Make a git repository of a folder, with one commit by whom git knows, or else the user."""
    git("init", "--quiet", "--initial-branch=main", cwd=site)
    git("add", "--all", cwd=site)
    try:
        git("config", "user.email", cwd=site)
        who = []
    except subprocess.CalledProcessError:
        user = getpass.getuser()
        who = ["-c", f"user.name={user}", "-c", f"user.email={user}@localhost"]
    git(*who, "commit", "--quiet", "--message", f"Start from {PACKAGE.title()}", cwd=site)


def git(*arguments: str, cwd: Path) -> str:
    """Run git and return what it prints. Raises CalledProcessError with what it complains of."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout  # noqa: S603
