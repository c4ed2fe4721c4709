"""`flask startproject --update` brings a site to this version, and `git merge` takes it over."""

from pathlib import Path

import pytest

from tests.project.conftest import FONT
from tests.project.shell import commit, edit, make_site, rejected, run, startproject

FIX = "# A fix."


def publish(checkout: Path, subject: str = "Mend the log") -> None:
    """Commit a fix in the serving package, and new words on the pages and around them."""
    log = checkout / "blasto" / "serving" / "log.py"
    log.write_text(f"{log.read_text()}{FIX}\n")
    edit(checkout / "blasto" / "templates" / "index.html", "</h1>", "</h1><!-- new -->")
    edit(checkout / "blasto" / "templates" / "base.html", "</html>", "</html><!-- new -->")
    edit(checkout / "README.md", "## Run", "## Run\n\nNew words.")
    edit(checkout / "Pipfile.lock", '"sha256": "', '"sha256": "0')
    commit(checkout, subject)
    edit(checkout / "tests" / "serving" / "test_log.py", "import", "# Tested.\nimport")
    commit(checkout, f"{subject}: its test")
    (checkout / "tests" / "tools" / "lock.py").unlink()
    commit(checkout, "Something else")


def update(checkout: Path, site: Path) -> str:
    status, output = startproject("--update", site, root=checkout)
    assert status == 0, output
    return output


def merge(site: Path) -> list[str]:
    """Merge the branch; return the files with a conflict."""
    run("git merge --quiet --no-edit starter || true", site)
    return run("git diff --name-only --diff-filter=U", site).split()


def first_week(site: Path) -> None:
    """Commit what an owner changes: words, a link, a page, a README, another package."""
    index = site / "shop" / "templates" / "index.html"
    edit(index, "Welcome to Shop", "Bread, every day")
    edit(index, 'class="lead">', 'class="lead">We bake at night. ')
    edit(site / "shop" / "templates" / "base.html", "</nav>", '<a href="/about">About</a></nav>')
    (site / "shop" / "templates" / "about.html").write_text("Ours.\n")
    app = site / "shop" / "app.py"
    app.write_text(f"{app.read_text()}\n\n@pages.get('/about')\ndef about(): ...\n")
    (site / "README.md").write_text("# The shop\n")
    edit(site / "Pipfile", "[packages]\n", '[packages]\nflask-wtf = "*"\n')
    edit(site / "Pipfile.lock", '"sha256": "', '"sha256": "1')
    commit(site, "First week")


def test_a_site_without_changes_becomes_what_a_new_one_is(
    checkout: Path, site: Path, tmp_path: Path
) -> None:
    publish(checkout)

    output = update(checkout, site)

    assert "\n    Mend the log: its test\n    Mend the log\n" in output
    assert "Something else" not in output
    assert output.endswith(f"\n    cd {site} && git merge starter\n")
    assert merge(site) == []
    new = make_site(checkout, tmp_path / "new")
    assert run("git rev-parse HEAD^{tree}", site) == run("git rev-parse HEAD^{tree}", new)


def test_an_update_touches_neither_the_branch_nor_the_index_nor_a_file_of_its_owner(
    checkout: Path, site: Path
) -> None:
    first_week(site)
    publish(checkout)
    edit(site / "shop" / "app.py", "about", "contact")
    run("git rm --quiet --cached Procfile && echo unfinished > shop/new.html", site)
    state = (
        "git rev-parse HEAD; git status --porcelain; git diff; git diff --cached; cat .git/config"
    )
    before = run(state, site)

    update(checkout, site)

    assert run(state, site) == before
    assert run("git rev-parse starter^", site) == run("git rev-list --max-parents=0 HEAD", site)


def test_a_first_week_merges_with_no_conflict_but_for_the_hash_of_the_lock(
    checkout: Path, site: Path
) -> None:
    first_week(site)
    publish(checkout)

    assert "README.md, shop/templates/index.html" in update(checkout, site)

    assert merge(site) == ["Pipfile.lock"]
    assert run("grep -c '^<<<<<<<' Pipfile.lock", site) == "1\n"
    assert FIX in (site / "shop" / "serving" / "log.py").read_text()
    assert "Bread, every day" in (site / "shop" / "templates" / "index.html").read_text()
    base = (site / "shop" / "templates" / "base.html").read_text()
    assert "About</a></nav>" in base
    assert "</html><!-- new -->" in base
    assert (site / "README.md").read_text() == "# The shop\n"


def test_what_an_owner_took_out_or_added_stays_so(checkout: Path, site: Path) -> None:
    (site / "shop" / "names.py").unlink()
    (site / "shop" / "static" / "new.css").write_text("ours")
    (site / "shop" / "static" / "font.woff2").write_bytes(FONT * 2)
    edit(site / "shop" / "templates" / "user.html", "Hello", "Welcome")
    commit(site, "Ours")
    edit(checkout / "blasto" / "names.py", "import", "import re\nimport")
    (checkout / "blasto" / "static" / "new.css").write_text("theirs")
    (checkout / "blasto" / "static" / "font.woff2").write_bytes(FONT * 3)
    (checkout / "blasto" / "templates" / "user.html").unlink()
    commit(checkout, "Theirs")

    update(checkout, site)

    assert merge(site) == []
    assert not (site / "shop" / "names.py").exists()
    assert (site / "shop" / "static" / "new.css").read_text() == "ours"
    assert (site / "shop" / "static" / "font.woff2").read_bytes() == FONT * 2
    assert "Welcome" in (site / "shop" / "templates" / "user.html").read_text()


def test_later_updates_follow_the_first(checkout: Path, site: Path) -> None:
    first_week(site)
    publish(checkout)
    run("echo >> .flaskenv", checkout)  # not committed
    update(checkout, site)
    assert update(checkout, site).endswith("git merge starter\n")  # still to be merged
    run("git merge --quiet -X ours starter && git branch -d starter", site)
    assert "Nothing new" in update(checkout, site)

    edit(checkout / "blasto" / "serving" / "log.py", FIX, "# A better one.")
    commit(checkout, "Mend it again")
    output = update(checkout, site)

    assert "Mend it again" in output
    assert "Mend the log" not in output
    assert merge(site) == []
    assert "# A better one." in (site / "shop" / "serving" / "log.py").read_text()


def test_a_site_of_the_second_version_that_was_renamed_and_moved_is_updated(
    checkout: Path, site: Path, tmp_path: Path
) -> None:
    run("git commit --quiet --amend --reset-author -m 'Start from Blasto 34b6063'", site)
    run("git mv shop bakery && grep -rlI shop . | xargs sed -i s/shop/bakery/g", site)
    commit(site, "Call it bakery")
    publish(checkout)
    moved = site.rename(tmp_path / "a bakery")

    assert f"cd '{moved}' && git merge starter" in update(checkout, moved)

    assert merge(moved) == []
    assert FIX in (moved / "bakery" / "serving" / "log.py").read_text()


OTHER = "rm -rf .git && git init -q"
AMEND = "git commit -q --amend --no-edit --all"
MINE = "git commit -q --allow-empty -m Mine"
CLONE = "git clone -q --depth 1 file://$PWD a && mv .git b && mv a/.git .git"


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("rm -rf .git", "not a git repository"),
        (OTHER, "HEAD"),
        (f"{OTHER} && {MINE}", "does not begin with a commit “Start from Blasto”"),
        (f"echo >> README.md; GIT_COMMITTER_DATE=2030-01-01T00:00 {AMEND}", "does not begin with"),
        (f"{MINE} && {CLONE}", "--unshallow"),
        ("git checkout -q -b starter", "starter"),
        (f"git checkout -q -b starter && {MINE}", "has a branch starter of its own."),
        (f"git checkout -q -b starter && {MINE} && git checkout -q main", "of its own."),
    ],
    ids=["none", "empty", "other", "amended", "shallow", "checked out", "own", "another"],
)
def test_where_it_cannot_tell_what_to_update_one_line_says_why(
    checkout: Path, site: Path, before: str, message: str
) -> None:
    run(before, site)
    publish(checkout)

    assert message in rejected("--update", site, root=checkout)
