"""Settings that are easily mistyped."""

import pytest
from click import ClickException

from tests.specimen import make_app


@pytest.mark.parametrize("value", [True, False, 1, 0])
def test_https_only_is_true_or_false(value: object) -> None:
    assert make_app(HTTPS_ONLY=value).config["HTTPS_ONLY"] == value


@pytest.mark.parametrize("value", ["False", "no", "maybe", "1", 2, None])
def test_any_other_value_of_https_only_is_an_error(value: object) -> None:
    with pytest.raises(ClickException, match=r"^FLASK_HTTPS_ONLY must be 1 or 0"):
        make_app(HTTPS_ONLY=value)


@pytest.mark.parametrize(
    ("value", "hosts"),
    [
        (None, None),
        ("a.test", ["a.test"]),
        ("A.test, .b.test", ["a.test", ".b.test"]),
        (["a.test"], ["a.test"]),
        ("127.0.0.1,[::1]", ["127.0.0.1", "[::1]"]),
    ],
)
def test_trusted_hosts_are_host_names(value: object, hosts: list[str] | None) -> None:
    assert make_app(TRUSTED_HOSTS=value).config["TRUSTED_HOSTS"] == hosts


@pytest.mark.parametrize("value", ["https://a.test", "*", "", "a,,b", "a.test:80", "a/", [], 1])
def test_any_other_value_of_trusted_hosts_is_an_error(value: object) -> None:
    with pytest.raises(ClickException, match=r"^FLASK_TRUSTED_HOSTS must be host names"):
        make_app(TRUSTED_HOSTS=value)


@pytest.mark.parametrize(("dyno", "https_only"), [("web.1", True), (None, False)])
def test_https_only_is_the_default_on_heroku(
    monkeypatch: pytest.MonkeyPatch, dyno: str | None, *, https_only: bool
) -> None:
    monkeypatch.setenv("DYNO", dyno) if dyno else monkeypatch.delenv("DYNO", raising=False)

    assert make_app().config["HTTPS_ONLY"] is https_only
