"""`flask startproject`: makes a new site from this one, and updates it to later versions."""

import json
import keyword
import re
import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from .newsite import BYTES, LIST, ROOT, git, site_files, version, write

# The subjects of the commits that this command makes in a site, and looks for.
MADE = "^Start from Blasto|^Update to Blasto [-0-9]{10} [0-9a-f]{7}"


@click.command()
@click.argument("name", required=False)
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@click.option("--update", metavar="DIRECTORY", type=click.Path(exists=True, path_type=Path))
def startproject(name: str | None, directory: Path | None, update: Path | None) -> None:
    """Start a new site from this one, called NAME.

    DIRECTORY defaults to a new folder NAME next to this project. If it already exists, it must
    be empty. --update commits this version to the branch starter of the site in DIRECTORY.
    """
    if bool(name) == bool(update):
        raise click.UsageError("Give either NAME or --update DIRECTORY.")
    if not (ROOT / ".git").exists():
        raise click.ClickException(f"{ROOT} has no .git. Clone Blasto, and run this there.")
    target = (update or directory or ROOT.parent / str(name)).resolve()
    try:
        if name:
            create(name, target)
        else:
            bring(target)
    except OSError as error:
        raise click.ClickException(f"Cannot write the site: {error}.") from None


def create(name: str, target: Path) -> None:
    """Make a site in a new or empty folder: whole, or not at all."""
    if message := problem(name, target):
        raise click.UsageError(message)
    files, commit = site_files(name), f"git commit --message 'Start from Blasto {version()}'"
    exists, there = target.exists(), f"cd {shlex.quote(str(target))}"
    with TemporaryDirectory(prefix=f".{name}-", dir=target if exists else target.parent) as folder:
        site = write(files, Path(folder) / name)
        if exists:  # keep the folder: it may be a shell's working directory
            for path in site.iterdir():
                path.rename(target / path.name)
        else:
            site.rename(target)
    click.echo(f"Created {name.title()} in {target}.")
    try:
        git("init", "--initial-branch=main", cwd=target)
        git("add", "--all", "--force", cwd=target)
        git(*shlex.split(commit)[1:], cwd=target)
    except click.ClickException as error:
        click.echo(f"git did not commit it:\n\n{error.message}\n", err=True)
        click.echo("When git is set up, and before you change anything, run:", err=True)
        click.echo(f"{there} && git init && git add --all && {commit}", err=True)
    run = files["README.md"][1].partition("```sh\n")[2].partition("\n```")[0]
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


def bring(site: Path) -> None:
    """Commit a new site of the same name to the branch `starter` of a site."""
    there = partial(git, "--git-dir", git("rev-parse", "--absolute-git-dir", cwd=site).strip())
    base, subject = last_version(site, there)
    folders = there("ls-tree", "-d", "--name-only", base).split()
    name = next(folder for folder in folders if folder.isalnum() and folder != "tests")
    files, kept = site_files(name), []
    changed = iter(there("diff", "--name-status", "--no-renames", "-z", base, "HEAD").split("\0"))
    for status, path in zip(changed, changed, strict=False):
        if not path.startswith((f"{name}/serving/", "Pipfile")):  # where a conflict must be seen
            mode, new = files.pop(path, ("100644", None))
            old = there("cat-file", "blob", f"{base}:{path}") if status != "A" else None
            mine = there("cat-file", "blob", f"HEAD:{path}") if status != "D" else None
            result = without_conflicts(old, mine, new)
            files |= {} if result is None else {path: (mode, result)}
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
    click.echo(f"Committed “{update}”, after “{subject}”, to the branch starter of {site}.")
    since = f"{subject.split()[-1].removesuffix('-dirty')}..HEAD"
    places = ("blasto/serving", "tests", ":!tests/project", ":!tests/tools")
    with suppress(click.ClickException):  # if this checkout does not know that commit
        changes = git(*LIST, "--format=    %s", since, "--", *places)
        click.echo(f"\nChanges in serving/ and tests/:\n\n{changes or '    none'}".rstrip())
    if kept:
        click.echo(f"\nWhere both changed a line, yours is kept, in: {', '.join(kept)}")
    click.echo(f"\nTo merge it:\n\n    cd {shlex.quote(str(site))} && git merge starter")


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
    message = f"{site} does not begin with a commit “Start from Blasto” as startproject made it."
    raise click.ClickException(f"{message} If it is a shallow clone, run git fetch --unshallow.")


def without_conflicts(old: str | None, mine: str | None, new: str | None) -> str | None:
    """Change `old` to `new`, except for the lines where `mine` differs from `old`."""
    if old is None or mine is None or new is None or "\0" in old + mine + new:
        return old
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("current", "base", "other")]

        def merge(*contents: str) -> str:
            for path, content in zip(paths, contents, strict=True):
                path.write_bytes(content.encode(*BYTES))
            return git("merge-file", "--stdout", "--ours", *map(str, paths))

        return merge(old, mine, merge(mine, old, new))
