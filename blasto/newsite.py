"""The files of a new site: those that git lists here, without all that is about this project."""

import os
import re
import subprocess
from fnmatch import fnmatch
from itertools import chain, zip_longest
from pathlib import Path

import click

from . import icons

ROOT = Path(__file__).parent.parent
LIST = ("rev-list", "--no-commit-header")  # `git log`, whatever is configured
BYTES = ("utf-8", "surrogateescape")  # keeps any bytes in a text
Files = dict[str, tuple[str, str]]  # git's mode and the content of each path

# All that is about this project: files, lines, and sections of the README.
FILES_LEFT_OUT = (
    *("LICENSE", ".coveragerc", ".github/*.png", "*/share.png", "tests/README.md"),
    *("tests/project/*", "tests/tools/*", "*/startproject.py", "*/newsite.py", "*/icons.py"),
)
LINES_LEFT_OUT = re.compile(
    r"(?m)^.*(startproject|(newsite|icons)\.py|tests[./](project|tools)|--cov|PYTEST_ADDOPTS"
    r"|not in new sites|#a-container|#a-server|og:image|twitter:card).*\n"
)
SECTIONS_LEFT_OUT = (
    *("Make it yours", "What you get", "A container", "A server of your own", "Later versions"),
)
SECTION = rf"^##+ (?:{'|'.join(SECTIONS_LEFT_OUT)})\n.*?(?=^##|\Z)"
TITLE = """# {title}

A website, built with Flask.

Based on Blasto {version}, whose README also covers containers, servers of your own and updates.

"""
LEAD = "Change this page in <code>{name}/templates/index.html</code>."
# Replacements: a file, a pattern, and a text for each of its matches.
REPLACED = (
    ("README.md", SECTION, *[""] * len(SECTIONS_LEFT_OUT)),
    ("README.md", r"\A.*?(?=^## Run$)", TITLE),
    ("style.css", r"(?<=--accent: )[^;]+", "{light}", "{dark}"),
    ("index.html", r'(?<= else ")[^"]+(?=" %})', "Welcome"),
    ("index.html", r'(?<=description = ")[^"]+', "The home page of {title}."),
    ("index.html", r"(?<=<h1>).+?(?=</h1>)", "Welcome to {title}"),
    ("index.html", r'(?<=class="lead">).+?(?=</p>)', LEAD),
)


def site_files(name: str) -> Files:
    """Return mode and content of the files of a site: those that git lists here, adapted."""
    files, words = {}, {"name": name, "title": name.title(), "version": version()}
    words |= icons.accents(name.title())
    for entry in git("ls-files", "-z", "--stage").removesuffix("\0").split("\0"):
        mode, path = entry[:6], entry.partition("\t")[2]
        if any(fnmatch(path, pattern) for pattern in FILES_LEFT_OUT):
            continue
        if not (ROOT / path).is_file():
            raise click.ClickException(f"{ROOT / path} is missing. Run: git checkout -- {path}")
        content = (ROOT / path).read_bytes().decode(*BYTES)
        if "\0" not in content:
            text = LINES_LEFT_OUT.sub("", content.replace("\r\n", "\n"))
            text = text.replace("blasto", name).replace("Blasto", name.title())
            content = adapt(path, text, words)
        files[path.replace("blasto", name)] = mode, content
    for icon, image in icons.draw(name.title()).items():
        files[f"{name}/static/{icon}"] = "100644", image.decode(*BYTES)
    return files


def adapt(path: str, text: str, words: dict[str, str]) -> str:
    """Make the replacements in the text of a file."""
    for file, pattern, *replacements in REPLACED:
        if path.endswith(file):
            parts = re.split(f"(?ms){pattern}", text)
            if len(parts) != len(replacements) + 1:
                message = f"{path} has {len(parts) - 1} of {pattern}, not {len(replacements)}"
                raise click.ClickException(f"{message}: change REPLACED in newsite.py.")
            filled = [replacement.format(**words) for replacement in replacements]
            text = "".join(chain(*zip_longest(parts, filled, fillvalue="")))
    return text


def write(files: Files, folder: Path) -> Path:
    for path, (mode, content) in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode(*BYTES))
        if mode == "100755":
            file.chmod(file.stat().st_mode | 0o111)
    return folder


def git(*arguments: str, cwd: Path | None = None, **extra: str) -> str:
    """Run git, by default in this checkout, whatever repository the environment names."""
    # These tie git to one repository, as in a hook.
    local = subprocess.check_output(["git", "rev-parse", "--local-env-vars"], text=True).split()
    env = {k: v for k, v in os.environ.items() if k not in local} | extra
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=cwd or ROOT, env=env, check=False, capture_output=True)
    if done.returncode:
        raise click.ClickException(done.stderr.decode(errors="replace").strip())
    return done.stdout.decode(*BYTES)


def version() -> str:
    """Return the date and the commit of this checkout."""
    commit = git("describe", "--always", "--exclude=*", "--dirty")
    return f"{git(*LIST, '-1', '--format=%cs', 'HEAD')} {commit}".replace("\n", "")
