"""Facts about your routes that the URL map does not have: change them with the routes."""

from typing import Any

from flask import Flask

# By endpoint, values for the arguments of its route, or a list of such, as one for each language;
# or {}, for a page that the tests do not find, such as that of a view class from a package.
EXAMPLES: dict[str, Any] = {"pages.user": {"name": "Ada"}}

# Endpoints whose response to GET is not a page, if the tests mistake it for one.
NO_PAGES: set[str] = set()

# Endpoints of pages to which no link leads, such as the thanks after a form.
UNLINKED: set[str] = set()

# Cookies that pages may set, beside the session's.
COOKIES: set[str] = set()


def prepare(_app: Flask) -> dict[str, Any]:
    """Return the session of a visitor who has signed in, to see the pages that ask for it.

    With Flask-Login, that is {"_user_id": "1"}. Called once before the first request: create and
    fill the tests' database here. SETTINGS in tests/conftest.py names it; each run has a new one.
    """
    return {}
