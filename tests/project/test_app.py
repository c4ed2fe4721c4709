"""The defaults in create_app(), which an owner may change."""

import pytest
from flask import request, session

from blasto.app import create_app


@pytest.mark.parametrize("setting", [1, True, 0])
def test_session_cookies_are_lax_and_secure_where_the_site_is_https_only(setting: object) -> None:
    app = create_app({"HTTPS_ONLY": setting})
    app.add_url_rule("/in", "in", lambda: str(session.setdefault("name", "Bo")))

    cookie = app.test_client().get("/in", base_url="https://localhost").headers["Set-Cookie"]

    assert "; SameSite=Lax" in cookie
    assert ("; Secure" in cookie) == bool(setting)


def test_an_upload_of_more_than_16_mb_is_rejected_with_a_page() -> None:
    app = create_app()
    app.add_url_rule("/read", "read", lambda: str(len(request.get_data())), methods=["POST"])

    small, large = (
        app.test_client().post("/read", data=bytes(size)) for size in (16 << 20, 17 << 20)
    )

    assert (small.status_code, large.status_code) == (200, 413)
    assert "<h1>" in large.text
