"""`flask startproject`: makes a new site from this one, which leaves this command out."""

import json
import keyword
import re
import shlex
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import click

from .picture import picture

PACKAGE = "blasto"
ROOT = Path(__file__).parent.parent
README_SECTIONS = ("Run", "Test", "Deploy", "Add a page", "Configure", "Operate")

# What is about this project itself, and the lines that name it.
LEFT_OUT = (
    *("LICENSE", ".coveragerc", ".github/*.png"),
    *("*/startproject.py", "tests/README.md", "tests/__init__.py"),
)
LEFT_OUT_DIRECTORIES = ("tests/project", "tests/tools")
LINES_LEFT_OUT = re.compile(
    r"^.*(startproject|tests[./](?:project|tools)|--cov|PYTEST_ADDOPTS).*\n", re.MULTILINE
)
PLACEHOLDERS = {
    r'(title = .* else ")[^"]*': r"\1Replace this title",
    r'(description = ")[^"]*': r"\1Replace this description, which search results show.",
    "(<h1>)[^<]*": r"\1Replace this headline",
    '(class="lead">)[^<]*': rf"\1Replace these words in {PACKAGE}/templates/index.html.",
}


@click.command()
@click.argument("name")
@click.argument("directory", type=click.Path(path_type=Path), required=False)
def startproject(name: str, directory: Path | None) -> None:
    """Start a new site from this one, called NAME.

    DIRECTORY defaults to a new folder NAME next to this project. If it already exists, it must
    be empty.
    """
    target = (directory or ROOT.parent / name).resolve()
    if message := problem(name, target):
        raise click.UsageError(message)
    try:
        # Made in a temporary folder beside the target: the site is there whole, or not at all.
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target.parent) as folder:
            make(Path(folder) / name, name).replace(target)
    except OSError as error:
        reason = error.strerror or error.args[0][0][-1]  # copytree() lists what failed
        raise click.ClickException(f"Cannot write {target}: {reason}.") from None
    click.echo(f"Created {name.title()} in {target}.")
    commit(target)
    run = section("Run").partition("```sh\n")[2].partition("\n```")[0]
    click.echo(f"\nTo run and deploy it:\n\n    cd {shlex.quote(str(target))}\n    {run}")
    click.echo("    heroku create && git push heroku main")


def problem(name: str, target: Path) -> str | None:
    """Return what is wrong with the arguments, and what to do about it."""
    if not re.fullmatch("[a-z][a-z0-9]{2,19}", name):
        return "NAME must be 3 to 20 lower-case letters and digits, starting with a letter."
    lock = json.loads((ROOT / "Pipfile.lock").read_text())
    module = find_spec(name)
    if keyword.iskeyword(name) or name in lock["develop"] or (module and module.origin):
        return f"{name!r} already has a meaning in Python. Choose another name."
    if target.is_relative_to(ROOT):
        return f"{target} is inside this project. Choose a directory outside it."
    if not target.parent.is_dir():
        return f"{target.parent} does not exist. Create it first."
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        return f"{target} already exists. Choose another directory, or empty it."
    return None


def make(site: Path, name: str) -> Path:
    """Copy this project to `site` under another name, without what is about itself."""
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()]
    shutil.copytree(ROOT, site, ignore=shutil.ignore_patterns(".git", *filter(None, ignored)))
    for directory in LEFT_OUT_DIRECTORIES:
        shutil.rmtree(site / directory)
    for file in (path for pattern in LEFT_OUT for path in site.glob(pattern)):
        file.unlink()

    readme = "".join(map(section, README_SECTIONS)).rstrip()
    (site / "README.md").write_text(f"# {PACKAGE.title()}\n\nReplace this line.\n\n{readme}\n")
    (site / PACKAGE / "static" / "icon.svg").write_text(icon(name.title()))
    index = site / PACKAGE / "templates" / "index.html"
    text = index.read_text()
    for pattern, placeholder in PLACEHOLDERS.items():
        text = re.sub(pattern, placeholder, text)
    index.write_text(text)

    for file in filter(Path.is_file, site.rglob("*")):
        try:
            text = LINES_LEFT_OUT.sub("", file.read_text("utf-8"))
        except UnicodeDecodeError:
            continue
        text = text.replace(PACKAGE, name).replace(PACKAGE.title(), name.title())
        file.write_text(text, "utf-8")
    (site / PACKAGE).rename(site / name)
    return site


def icon(name: str) -> str:
    """Return the picture of a name as a file, which has to name its namespace."""
    svg = str(picture(name))  # Markup.replace() would escape the quotes
    return svg.replace('aria-hidden="true"', 'xmlns="http://www.w3.org/2000/svg"')


def section(heading: str) -> str:
    """Return a section of this project's README, its heading included."""
    _, _, rest = (ROOT / "README.md").read_text().partition(f"\n## {heading}\n")
    text, _, _ = rest.partition("\n## ")
    return f"## {heading}\n{text}\n"


def commit(site: Path) -> None:
    """Commit the new site to a git repository of its own; if git refuses, say what to type."""
    message = f"Start from {PACKAGE.title()}"
    try:
        if (ROOT / ".git").exists():
            message += f" {git('describe', '--always', '--dirty', cwd=ROOT)}"
        git("init", "--initial-branch=main", cwd=site)
        git("add", "--all", cwd=site)
        git("commit", "--message", message, cwd=site)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", "") or str(error)).splitlines()[0]
        click.echo(
            f"git did not commit it ({reason}). When git is set up, run: cd "
            f"{shlex.quote(str(site))} && git init && git add --all && git commit -m '{message}'",
            err=True,
        )


def git(*arguments: str, cwd: Path) -> str:
    """Run git and return its output. Raises CalledProcessError if it fails."""
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)  # noqa: S603
    return done.stdout.strip()
