"""`flask startproject`: a whole new site, or one line and nothing left behind."""

import importlib.util
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from blasto.startproject import fault

from tests.conftest import IN_A_CHECKOUT
from tests.processes import PACKAGE, PROCFILE_COMMAND, ROOT, Process, free_port, run

BIN = Path(sys.executable).parent


def flask(*arguments: object, cwd: Path = ROOT, before: str = "true") -> tuple[int, str]:
    """Run flask as a shell does, and return its exit status with what it printed."""
    done = subprocess.run(
        ["bash", "-c", f'{before}; exec "$0" "$@"', BIN / "flask", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_it_has_a_helpful_help() -> None:
    status, said = flask("startproject", "--help")

    assert status == 0
    assert "Start a new site from this one, called NAME." in said


def test_a_new_site_is_this_one_under_its_own_name(tmp_path: Path) -> None:
    status, said = flask("startproject", "offspring", tmp_path / "new")

    new = tmp_path / "new"
    assert status == 0
    assert f"cd {new}\n" in said
    assert f"    {readme_command('Run')}\n" in said
    assert run("git status --porcelain", new) == ""
    assert len(run("git log --format=%s", new).splitlines()) == 1
    assert run("grep -rniI blasto . --exclude-dir=.git || true", new) == ""
    assert (new / "offspring" / "app.py").read_text().startswith('"""The site')
    assert os.access(new / ".ci" / "run", os.X_OK)
    assert (new / "offspring" / "static" / "share.png").read_bytes() == (
        ROOT / "blasto" / "static" / "share.png"
    ).read_bytes()
    assert not list((new / ".github").glob("*.png"))
    assert (new / ".github" / "dependabot.yml").exists()


@IN_A_CHECKOUT
def test_outside_a_checkout_it_copies_what_a_release_would_hold(tmp_path: Path) -> None:
    source = tmp_path / "release"
    source.mkdir()
    run(f"git ls-files -z | xargs -0 cp --parents -t {source}", ROOT)
    for local in (
        ".env",
        ".venv/bin/python",
        f"{PACKAGE.name}/__pycache__/app.pyc",
        ".mypy_cache/x",
    ):
        (source / local).parent.mkdir(parents=True, exist_ok=True)
        (source / local).touch()

    status, said = flask("startproject", "offspring", cwd=source)

    assert status == 0, said
    copied = run("git ls-files", tmp_path / "offspring")
    tracked = run("git ls-files ':!.github/*.png'", ROOT).replace(PACKAGE.name, "offspring")
    assert set(copied.split()) == set(tracked.split())


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("Offspring", "offspring"),
        ("off-spring", "offspring"),
        ("off_spring", "offspring"),
        ("9lives", "lives"),
        ("ab", "absite"),
        ("x" * 21, "x" * 16),
        ("é", "nextsite"),
        ("../evil", "evil"),
        ("class", "classsite"),
        ("sys", "syssite"),
        ("json", "jsonsite"),
        ("flask", "flasksite"),
        ("jinja2", "jinja2site"),
        ("tests", "testssite"),
        ("pytest", "pytestsite"),
    ],
)
def test_a_name_that_will_not_do_is_refused_with_one_that_will(
    tmp_path: Path, name: str, good: str
) -> None:
    status, said = flask("startproject", name, tmp_path / "new")
    accepted, _ = flask("startproject", good, tmp_path / "good")

    assert status == 2
    assert re.fullmatch(rf"Error: .*{good!r} would do\.\n", said)
    assert accepted == 0
    assert not (tmp_path / "new").exists()


def test_its_own_name_is_refused(tmp_path: Path) -> None:
    status, said = flask("startproject", PACKAGE.name, tmp_path / "new")

    assert status == 2
    assert "is the name of a package that the site uses" in said


def test_a_package_of_the_tests_is_refused_where_it_is_not_installed_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    assert fault("pytest") == "is the name of a package that the site uses"
    assert fault("offspring") is None


def test_a_place_where_something_would_be_lost_is_refused(tmp_path: Path) -> None:
    full, file = tmp_path / "full", tmp_path / "file"
    full.mkdir()
    (full / "kept").write_text("kept")
    file.write_text("kept")

    for place in (full, file, ROOT / "inside", ROOT, tmp_path / "no" / "folder"):
        status, said = flask("startproject", "offspring", place)

        assert status == 2
        assert re.fullmatch(r"Error: .*\.\n", said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"]
    assert (full / "kept").read_text() == file.read_text() == "kept"
    assert not (ROOT / "inside").exists()


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    status, _ = flask("startproject", "offspring", tmp_path / "empty")

    assert status == 0
    assert (tmp_path / "empty" / "Procfile").exists()


@pytest.mark.parametrize(
    ("place", "before"), [("/proc/offspring", "true"), ("{tmp_path}/offspring", "ulimit -f 140")]
)
def test_a_place_that_cannot_be_written_gets_one_line_and_nothing_half_made(
    tmp_path: Path, place: str, before: str
) -> None:
    status, said = flask(
        "startproject", "offspring", place.format(tmp_path=tmp_path), before=before
    )

    assert status == 1
    assert re.fullmatch(r"Error: .*\.\n", said)
    assert list(tmp_path.iterdir()) == []


def test_what_git_complains_of_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[broken")

    status, said = flask(
        "startproject",
        "offspring",
        tmp_path / "new",
        before=f"export GIT_CONFIG_GLOBAL={tmp_path / 'config'}",
    )

    assert status == 1
    assert re.fullmatch(r"Error: git: .*bad config.*\n", said)
    assert [path.name for path in tmp_path.iterdir()] == ["config"]


def test_who_has_not_told_git_a_name_gets_a_commit_too(tmp_path: Path) -> None:
    status, said = flask(
        "startproject",
        "offspring",
        tmp_path / "new",
        before="export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1",
    )

    assert status == 0, said
    assert "@localhost" in run("git log --format=%ae", tmp_path / "new")


@pytest.mark.server
@pytest.mark.generations
def test_a_site_and_a_site_of_that_site_install_pass_their_tests_and_serve(tmp_path: Path) -> None:
    generations = [ROOT]
    for name in ("firstborn", "secondbornandlongest"):
        parent = generations[-1]
        run_flask = BIN / "flask" if parent == ROOT else ".venv/bin/flask"
        run(f"{run_flask} startproject {name} {tmp_path / name}", parent)
        generations.append(tmp_path / name)

        install = readme_command("Test").removesuffix(" && .venv/bin/pytest")
        run(install, tmp_path / name)
        run(".venv/bin/pytest -m 'not server and not soak'", tmp_path / name)
        run(".venv/bin/ruff format --check && .venv/bin/ruff check", tmp_path / name)
        greets(tmp_path / name, name)


def readme_command(heading: str) -> str:
    readme = (ROOT / "README.md").read_text()
    match = re.search(rf"^## {heading}\n.*?^```sh\n(.*?)\n```", readme, re.MULTILINE | re.DOTALL)
    assert match
    return match[1]


def greets(site: Path, name: str, *targets: str) -> None:
    """Start a site's own Procfile, and read its pages."""
    port = free_port()
    command = (site / "Procfile").read_text().removeprefix("web: ").strip()
    path = f"{site / '.venv' / 'bin'}:{BIN}:{os.environ['PATH']}"
    env = {"PORT": str(port), "WEB_CONCURRENCY": "2", "PATH": path}
    with Process(command, port, cwd=site, env=env) as process:
        assert name.title() in process.get("/").text
        for target in ("/user/Newcomer", *targets):
            assert 'property="og:image"' in process.get(target).text
    assert command == PROCFILE_COMMAND.replace("blasto", name)


@pytest.mark.server
def test_the_steps_to_make_it_yours_lead_to_a_third_page(tmp_path: Path) -> None:
    command = readme_command("Make it yours")
    name = command.split()[-1]
    flask(*command.split()[1:], tmp_path / name)
    site = tmp_path / name
    readme = (site / "README.md").read_text()
    section = readme.split("## Add a page\n")[1].split("\n## ")[0]
    page, rule, view, test, known, _push = (
        textwrap.dedent(block)
        for block in re.findall(r" {3}```\w+\n(.*?) {3}```", section, re.DOTALL)
    )
    app, routes = site / name / "app.py", site / "tests" / "test_routes.py"

    (site / name / "templates" / "about.html").write_text(page)
    last = '    app.add_url_rule("/user/<name:name>", view_func=user)\n'
    app.write_text(app.read_text().replace(last, f"{last}{textwrap.indent(rule, '    ')}"))
    app.write_text(f"{app.read_text()}\n\n{view}")
    (site / "tests" / "test_about.py").write_text(test)
    first = "    assert rules == {\n"
    routes.write_text(
        routes.read_text().replace(first, f"{first}{textwrap.indent(known, ' ' * 8)}")
    )

    run(f"{BIN}/pytest -m 'not server and not soak'", site)
    run(f"{BIN}/ruff format --check && {BIN}/ruff check", site)
    greets(site, name, "/about")
    assert f"flask startproject {name}2\n" in readme
