"""The index page: static, with the form."""

from flask.testing import FlaskClient

from tests.markup import Parsed


def test_the_form_asks_for_a_name_and_leads_to_the_greetings(client: FlaskClient) -> None:
    page = Parsed(client.get("/").text)

    assert page.attributes("form")["action"] == "/user"
    assert page.attributes("form").get("method", "get") == "get"
    assert page.attributes("label")["for"] == page.attributes("input")["id"]
    assert page.attributes("input")["name"] == "name"
    assert "aria-invalid" not in page.attributes("input")


def test_a_query_does_not_change_the_page(client: FlaskClient) -> None:
    assert client.get("/?name=Bo").text == client.get("/").text


def test_the_pictures_lead_to_the_greetings_of_their_names(client: FlaskClient) -> None:
    links = Parsed(client.get("/").text).links

    assert links[-6] == "/user/Ada"
    assert "/user/AC/DC" in links
    assert all(client.get(link).status_code == 200 for link in links[-6:])


def test_no_script_anywhere(client: FlaskClient) -> None:
    page = Parsed(client.get("/").text)

    assert "script" not in {tag for tag, _ in page.elements}
    assert not any(
        attribute == "style" or attribute.startswith("on")
        for _, attributes in page.elements
        for attribute in attributes
    )
