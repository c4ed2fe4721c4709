"""`flask startproject`: makes a new site from this one, and brings it to later versions."""

import json
import keyword
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from fnmatch import fnmatch
from functools import partial
from importlib.util import find_spec
from itertools import chain, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from . import icons

ROOT = Path(__file__).parent.parent

# What is about this project itself: files, lines, and sections of the README.
FILES_LEFT_OUT = (
    *("LICENSE", ".coveragerc", ".github/*.png", "*/share.png", "tests/README.md"),
    *("tests/project/*", "tests/tools/*", "*/startproject.py", "*/icons.py"),
)
LINES_LEFT_OUT = re.compile(
    r".*(startproject|icons\.py|tests[./](project|tools)|--cov|PYTEST_ADDOPTS"
    r"|not in new sites|og:image|twitter:card).*\n"
)
SECTIONS_LEFT_OUT = ("Make it yours", "Later versions", "Maintain", "Performance")
SECTION = rf"^##+ (?:{'|'.join(SECTIONS_LEFT_OUT)})\n.*?(?=^##|\Z)"
TITLE = "# {title}\n\nA website, built with Flask.\nStarted from Blasto {version}.\n\n"
LEAD = "Change this page in <code>{name}/templates/index.html</code>."
# What a site has in the place of ours: a file, a pattern, and a text for each of its matches.
REPLACED = (
    ("README.md", SECTION, *[""] * len(SECTIONS_LEFT_OUT)),
    ("README.md", r"\A.*?(?=^## Run$)", TITLE),
    ("style.css", r"(?<=--accent: )[^;]+", "{light}", "{dark}"),
    ("index.html", r'(?<= else ")[^"]+(?=" %})', "Welcome"),
    ("index.html", r'(?<=description = ")[^"]+', "The home page of {title}."),
    ("index.html", r"(?<=<h1>).+?(?=</h1>)", "Welcome to {title}"),
    ("index.html", r'(?<=class="lead">).+?(?=</p>)', LEAD),
)
# How the commits begin that this command makes in a site, by which it finds them again.
MADE = "^Start from Blasto|^Update to Blasto [-0-9]{10} [0-9a-f]{7}"
LIST = ("rev-list", "--no-commit-header")


@click.command()
@click.argument("name", required=False)
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@click.option("--update", metavar="DIRECTORY", type=click.Path(exists=True, path_type=Path))
def startproject(name: str | None, directory: Path | None, update: Path | None) -> None:
    """Start a new site from this one, called NAME.

    DIRECTORY defaults to a new folder NAME next to this project. If it already exists, it must
    be empty. --update brings the site in DIRECTORY to this version, on a branch of its own.
    """
    if bool(name) == bool(update):
        raise click.UsageError("Give either NAME or --update DIRECTORY.")
    if not (ROOT / ".git").exists():
        raise click.UsageError(f"{ROOT} is no git checkout: clone Blasto, and run this there.")
    try:
        if update:
            bring(update.resolve())
        elif name:
            create(name, (directory or ROOT.parent / name).resolve())
    except subprocess.CalledProcessError as error:
        raise click.ClickException(error.stderr.decode(errors="replace").strip()) from None
    except OSError as error:
        raise click.ClickException(f"Cannot make the site: {error}.") from None


def create(name: str, target: Path) -> None:
    """Make a site in a new or empty folder: whole, or not at all."""
    if message := problem(name, target):
        raise click.UsageError(message)
    files, commit = site_files(name), f"git commit --message 'Start from Blasto {version()}'"
    exists, there = target.exists(), f"cd {shlex.quote(str(target))}"
    with TemporaryDirectory(prefix=f".{name}-", dir=target if exists else target.parent) as folder:
        site = write(files, Path(folder) / name)
        if exists:  # it stays, because a shell may stand in it
            for path in site.iterdir():
                path.rename(target / path.name)
        else:
            site.rename(target)
    click.echo(f"Created {name.title()} in {target}.")
    try:
        git("init", "--initial-branch=main", cwd=target)
        git("add", "--all", "--force", cwd=target)
        git(*shlex.split(commit)[1:], cwd=target)
    except subprocess.CalledProcessError as error:
        advice = f"When git is set up, run: {there} && git init && git add --all && {commit}"
        click.echo(
            f"git did not commit it:\n\n{error.stderr.decode(errors='replace')}\n{advice}", err=True
        )
    run = files["README.md"][1].decode().partition("```sh\n")[2].partition("\n```")[0]
    click.echo(f"\nTo run and deploy it:\n\n    {there}\n    {run}")
    click.echo("    heroku create && git push heroku main")


def problem(name: str, target: Path) -> str | None:
    """Return what is wrong with the arguments, and what to do about it."""
    if not re.fullmatch("[a-z][a-z0-9]{2,19}", name):
        return "NAME must be 3 to 20 lower-case letters and digits, starting with a letter."
    lock = json.loads((ROOT / "Pipfile.lock").read_text())
    locked = {re.split(r"\W|_", package)[0] for package in lock["default"] | lock["develop"]}
    if name in {*keyword.kwlist, *sys.stdlib_module_names, *locked} or find_spec(name):
        return f"{name!r} already has a meaning in Python. Choose another name."
    if target.is_relative_to(ROOT):
        return f"{target} is inside this project. Choose a directory outside it."
    if not target.parent.is_dir():
        return f"{target.parent} does not exist. Create it first."
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        return f"{target} already exists. Choose another directory, or empty it."
    return None


def site_files(name: str) -> dict[str, tuple[str, bytes]]:
    """Return mode and content of the files of a site: those that git lists here, adapted."""
    files, words = {}, {"name": name, "title": name.title(), "version": version()}
    words |= icons.accents(name.title())
    for entry in git("ls-files", "-z", "--stage").split("\0")[:-1]:
        mode, path = entry[:6], entry.partition("\t")[2]
        if any(fnmatch(path, pattern) for pattern in FILES_LEFT_OUT):
            continue
        if not (ROOT / path).is_file():
            raise click.ClickException(f"{ROOT / path} is no file. Run: git checkout -- {path}")
        content = (ROOT / path).read_bytes()
        if b"\0" not in content:
            text = LINES_LEFT_OUT.sub("", content.decode().replace("\r\n", "\n"))
            text = text.replace("blasto", name).replace("Blasto", name.title())
            content = adapt(path, text, words).encode()
        files[path.replace("blasto", name)] = mode, content
    for icon, content in icons.draw(name.title()).items():
        files[f"{name}/static/{icon}"] = "100644", content
    return files


def adapt(path: str, text: str, words: dict[str, str]) -> str:
    """Put into a text what a site has in the place of ours."""
    for file, pattern, *replacements in REPLACED:
        if path.endswith(file):
            parts = re.split(f"(?ms){pattern}", text)
            if len(parts) != len(replacements) + 1:
                message = f"{path} has {len(parts) - 1} of {pattern}, not {len(replacements)}"
                raise click.ClickException(f"{message}: change REPLACED in startproject.py.")
            filled = [replacement.format(**words) for replacement in replacements]
            text = "".join(chain(*zip_longest(parts, filled, fillvalue="")))
    return text


def write(files: dict[str, tuple[str, bytes]], folder: Path) -> Path:
    for path, (mode, content) in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        if mode == "100755":
            file.chmod(file.stat().st_mode | 0o111)
    return folder


def bring(site: Path) -> None:
    """Commit what a site of the same name made now looks like to the site's branch `starter`."""
    there = partial(git, "--git-dir", git("rev-parse", "--absolute-git-dir", cwd=site).strip())
    base, subject = last_version(site, there)
    folders = there("ls-tree", "-r", "-d", "--name-only", base)
    name = re.findall(r"^(?!tests/)(\w+)/serving$", folders, re.MULTILINE)[0]
    files, kept = site_files(name), []
    for path in there("diff", "--name-only", "--no-renames", "-z", base, "HEAD").split("\0")[:-1]:
        if not path.startswith((f"{name}/serving/", "Pipfile")):  # where a conflict must be seen
            mode, new = files.pop(path, ("100644", None))
            old, mine = (blob(there, f"{commit}:{path}") for commit in (base, "HEAD"))
            result = without_conflicts(old, mine, new)
            if result is not None:
                files[path] = mode, result
            if result != new != mine:
                kept.append(path)
    update = f"Update to Blasto {version()}"
    with TemporaryDirectory() as folder:
        work, index = write(files, Path(folder) / "site"), f"{folder}/index"
        there("--work-tree", str(work), "add", "--all", "--force", cwd=work, GIT_INDEX_FILE=index)
        tree = there("write-tree", GIT_INDEX_FILE=index).strip()
    if tree != there("rev-parse", f"{base}^{{tree}}").strip():
        commit = there("commit-tree", tree, "-p", base, "-m", update).strip()
        there("branch", "--force", "starter", commit)
    elif not there("rev-list", "--max-count=1", f"HEAD..{base}"):
        click.echo(f"Nothing new since “{subject}”.")
        return
    click.echo(f"“{update}” follows “{subject}” on the branch starter of {site}.")
    since = f"{(re.findall('[0-9a-f]{7,}', subject) or ['none'])[0]}..HEAD"
    places = ("blasto/serving", "tests", ":!tests/project", ":!tests/tools")
    with suppress(subprocess.CalledProcessError):  # if this checkout does not know that commit
        changes = git(*LIST, "--format=    %s", since, "--", *places)
        click.echo(f"\nChanges in serving/ and tests/:\n\n{changes or '    none'}".rstrip())
    if kept:
        click.echo(f"\nYour lines stay where both changed the same ones: {', '.join(kept)}")
    click.echo(f"\nTo take it over:\n\n    cd {shlex.quote(str(site))} && git merge starter")


def last_version(site: Path, there: Callable[..., str]) -> tuple[str, str]:
    """Return the newest commit of ours in a site, and its subject."""
    ours = ("--extended-regexp", f"--grep={MADE}")
    others = ("rev-list", "--max-count=1", "--invert-grep", *ours)
    starter = there("for-each-ref", "--format=%(refname)", "refs/heads/starter").split()
    if starter and there(*others, *starter):
        raise click.ClickException(f"{site} has a branch starter of its own. Rename that first.")
    log = there(*LIST, "--topo-order", "--format=%H %at %ct %s", *ours, "HEAD", *starter, "--")
    for line in log.splitlines():
        commit, written, committed, subject = line.split(maxsplit=3)
        if written == committed and not there(*others, commit):  # neither amended nor rebased
            return commit, subject
    raise click.ClickException(
        f"{site} does not begin with a commit “Start from Blasto”, as startproject made it. "
        "If its history is shallow, run there: git fetch --unshallow"
    )


def blob(there: Callable[..., str], name: str) -> bytes | None:
    try:
        return there("cat-file", "blob", name).encode("utf-8", "surrogateescape")
    except subprocess.CalledProcessError:
        return None


def without_conflicts(old: bytes | None, mine: bytes | None, new: bytes | None) -> bytes | None:
    """Change `old` to `new`, except for the lines where `mine` differs from `old`."""
    if old is None or mine is None or new is None or b"\0" in old + mine + new:
        return old
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("current", "base", "other")]

        def merge(*contents: bytes) -> bytes:
            for path, content in zip(paths, contents, strict=True):
                path.write_bytes(content)
            git("merge-file", "--ours", *map(str, paths))
            return paths[0].read_bytes()

        return merge(old, mine, merge(mine, old, new))


def git(*arguments: str, cwd: Path = ROOT, **extra: str) -> str:
    """Run git without the variables that tie it to one repository, as those in its hooks do."""
    command = ["git", "rev-parse", "--local-env-vars"]
    listed = subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    local = listed.stdout.decode().split()
    env = {name: value for name, value in os.environ.items() if name not in local} | extra
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True)  # noqa: S603
    return done.stdout.decode("utf-8", "surrogateescape")


def version() -> str:
    """Return the date and the commit of this checkout."""
    commit = git("describe", "--always", "--exclude=*", "--dirty")
    return f"{git(*LIST, '--max-count=1', '--format=%cs', 'HEAD')} {commit}".replace("\n", "")
