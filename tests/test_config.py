"""Configuration from the environment: checked at the start, and nothing has to be set."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from blasto.app import create_app

from tests.markup import Parsed


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> FlaskClient:
    """A client of a site that trusts the hosts of the test's parameter."""
    monkeypatch.setenv("FLASK_TRUSTED_HOSTS", request.param)
    return create_app().test_client()


TRUSTED = pytest.mark.parametrize(
    "client",
    ["site.test", "other.test, site.test", '["site.test"]', ".test"],
    indirect=True,
)


@TRUSTED
def test_a_trusted_host_is_answered(client: FlaskClient) -> None:
    assert client.get("/", base_url="http://site.test").status_code == 200
    assert client.get("/user/Bo", base_url="https://site.test:8443").status_code == 200


@TRUSTED
@pytest.mark.parametrize("host", ["evil.example", "site.test.evil.example", "evil-site", ""])
@pytest.mark.parametrize("target", ["/", "/user/Bo", "/nothing", "/static/icon.svg"])
def test_any_other_host_is_a_bad_request(client: FlaskClient, host: str, target: str) -> None:
    response = client.get(target, headers={"Host": host})

    assert response.status_code == 400
    assert Parsed(response.text).links == ["#main", "/", "/"]  # to skip, home, and back
    assert "Content-Security-Policy" in response.headers


@pytest.mark.parametrize("client", ["site.test"], indirect=True)
def test_an_untrusted_host_is_not_redirected_to(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(client.application.config, "HTTPS_ONLY", value=True)

    response = client.get("/", headers={"Host": "evil.example", "X-Forwarded-Proto": "http"})

    assert response.status_code == 400


@pytest.mark.parametrize("address", ["mailto:a@site.test", "https://site.test/", "tel:+1-2"])
def test_a_contact_is_an_address_of_any_kind(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("FLASK_SECURITY_CONTACT", address)

    response = create_app().test_client().get("/.well-known/security.txt")

    assert f"Contact: {address}\n" in response.text


def test_without_trusted_hosts_every_host_is_answered(app: Flask) -> None:
    assert app.test_client().get("/", base_url="http://anything.test").status_code == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLASK_TRUSTED_HOSTS", ""),
        ("FLASK_TRUSTED_HOSTS", "site.test,,"),
        ("FLASK_TRUSTED_HOSTS", "7"),
        ("FLASK_TRUSTED_HOSTS", "[]"),
        ("FLASK_SECURITY_CONTACT", "security@site.test"),
        ("FLASK_SECURITY_CONTACT", "7"),
    ],
)
def test_a_value_that_cannot_be_meant_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ValueError, match=f"^{name} takes "):
        create_app()
