"""`flask startproject --update` brings a site to this version, and `git merge` takes it over."""

from pathlib import Path
from shutil import copytree

import pytest

from tests.project.conftest import FONT
from tests.project.shell import TREE, commit, edit, rejected, run, startproject

FIX = "# A fix."


@pytest.fixture(scope="module")
def later(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a fix in the serving package, and changes in the pages and around them."""
    checkout = copytree(made / "blasto", tmp_path_factory.mktemp("later") / "blasto")
    edit(checkout / "blasto" / "serving" / "log.py", "\nimport", f"\n{FIX}\nimport")
    commit(checkout, "Mend the log")
    edit(checkout / "tests" / "serving" / "test_log.py", "import", "# Tested.\nimport")
    commit(checkout, "Test it")
    for file, old, new in (
        ("blasto/names.py", "import", "import re\nimport"),
        ("blasto/templates/index.html", "</h1>", "</h1><!-- new -->"),
        ("blasto/templates/base.html", "</html>", "</html><!-- new -->"),
        ("README.md", "## Run", "## Run\n\nNew words."),
        ("Pipfile.lock", '"sha256": "', '"sha256": "0'),
    ):
        edit(checkout / file, old, new)
    (checkout / "blasto" / "static" / "new.css").write_text("theirs")
    (checkout / "blasto" / "static" / "font.woff2").write_bytes(FONT * 3)
    run("rm blasto/templates/user.html tests/project/test_app.py tests/tools/lock.py", checkout)
    commit(checkout, "Something else")
    return checkout


@pytest.fixture
def grown(site: Path) -> Path:
    """A site after its first week: with words, a link, files and a package of its owner's."""
    for file, old, new in (
        ("shop/templates/index.html", "Welcome to Shop", "Bread, every day"),
        ("shop/templates/user.html", "Hello", "Welcome"),
        ("shop/templates/base.html", "</nav>", '<a href="/about">About</a></nav>'),
        ("Pipfile", "[packages]\n", '[packages]\nflask-wtf = "*"\n'),
        ("Pipfile.lock", '"sha256": "', '"sha256": "1'),
    ):
        edit(site / file, old, new)
    for file in ("shop/static/new.css", "shop/templates/about.html", "README.md"):
        (site / file).write_text("Ours.\n")
    (site / "shop" / "static" / "font.woff2").write_bytes(FONT * 2)
    (site / "shop" / "names.py").unlink()
    commit(site, "First week")
    return site


def update(checkout: Path, site: Path) -> str:
    return startproject("--update", site, root=checkout)


def merge(site: Path) -> list[str]:
    """Merge the branch; return the files with a conflict."""
    run("git merge --quiet --no-edit starter || true", site)
    return run("git diff --name-only --diff-filter=U", site).split()


def test_an_unchanged_site_becomes_like_a_new_one(later: Path, site: Path, tmp_path: Path) -> None:
    output = update(later, site)

    assert "\n    Test it\n    Mend the log\n" in output
    assert "Something else" not in output
    assert output.endswith(f"\n    cd {site} && git merge starter\n")
    assert merge(site) == []
    startproject("shop", tmp_path / "new", root=later)
    assert run(TREE, site) == run(TREE, tmp_path / "new")


def test_an_update_touches_no_branch_index_or_file_of_the_owner(later: Path, grown: Path) -> None:
    run("git rm -q --cached Procfile; echo >> shop/app.py; touch shop/new.html", grown)
    state = "git rev-parse HEAD; git status --porcelain; git diff HEAD; cat .git/config"
    before = run(state, grown)

    update(later, grown)

    assert run(state, grown) == before
    assert run("git rev-parse starter^", grown) == run("git rev-parse HEAD^", grown)


def test_updates_keep_what_the_owner_changed(later: Path, grown: Path, tmp_path: Path) -> None:
    checkout = copytree(later, tmp_path / "later")
    run("echo >> .flaskenv", checkout)  # not committed
    kept = (
        "README.md, shop/names.py, shop/static/font.woff2, shop/static/new.css,"
        " shop/templates/index.html, shop/templates/user.html\n"
    )

    assert kept in update(checkout, grown)
    assert update(checkout, grown).endswith("git merge starter\n")  # still to be merged
    assert merge(grown) == ["Pipfile.lock"]
    assert run("grep -c '^<<<<<<<' Pipfile.lock", grown) == "1\n"
    run("git checkout -q --theirs Pipfile.lock; git commit -qa --no-edit", grown)
    assert run("git diff --name-only HEAD^", grown).split() == [
        *(".flaskenv", "Pipfile.lock", "shop/serving/log.py", "shop/templates/base.html"),
        "tests/serving/test_log.py",
    ]
    base = (grown / "shop" / "templates" / "base.html").read_text()
    assert "About</a></nav>" in base
    assert "</html><!-- new -->" in base

    run("git branch -q -d starter", grown)
    assert "Nothing new" in update(checkout, grown)

    edit(checkout / "blasto" / "serving" / "log.py", FIX, "# A better one.")
    commit(checkout, "Mend it again")
    output = update(checkout, grown)
    assert "Mend it again" in output
    assert "Mend the log" not in output
    assert merge(grown) == []
    assert "# A better one." in (grown / "shop" / "serving" / "log.py").read_text()


def test_an_old_site_that_was_renamed_and_moved_is_updated(checkout: Path, tmp_path: Path) -> None:
    site = tmp_path / "web"  # which comes after tests/
    startproject("web", site, root=checkout)
    run("git commit --quiet --amend --reset-author -m 'Start from Blasto 34b6063'", site)
    run("git mv web bakery && sed -i s/web:APP/bakery:APP/g Procfile .flaskenv", site)
    commit(site, "Call it bakery")
    moved = site.rename(tmp_path / "a bakery")
    edit(checkout / "blasto" / "serving" / "log.py", "\nimport", f"\n{FIX}\nimport")

    assert f"cd '{moved}' && git merge starter" in update(checkout, moved)

    assert merge(moved) == []
    assert FIX in (moved / "bakery" / "serving" / "log.py").read_text()


OTHER = "rm -rf .git && git init -q && git commit -q --allow-empty -m Mine"
AMEND = "echo >> README.md; GIT_COMMITTER_DATE=2030-01-01T00:00 git commit -qa --amend --no-edit"
OWN_STARTER = "git checkout -q -b starter && git commit -q --allow-empty -m Mine"


REJECTED = [
    ("rm -rf .git", "not a git repository"),
    (OTHER, "does not begin with a commit “Start from Blasto”"),
    (AMEND, "does not begin with a commit “Start from Blasto”"),
    (OWN_STARTER, "has a branch starter of its own."),
]


@pytest.mark.parametrize(("before", "message"), REJECTED)
def test_a_rejected_update_is_explained(later: Path, site: Path, before: str, message: str) -> None:
    run(before, site)

    assert message in rejected("--update", site, root=later)
