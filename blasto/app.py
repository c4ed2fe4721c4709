"""The site: its factory, then what answers at each address."""

from urllib.parse import unquote, unquote_to_bytes

from flask import Flask, abort, current_app, redirect, render_template, request, url_for
from flask.globals import request_ctx
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from .cache import Cache
from .config import configure
from .delivery import FRESH, deliver
from .files import add_version, remembered_url_for, static
from .headers import require_https, secure
from .log import log_to_stdout, request_id
from .names import InvalidNameError, NameConverter, canonical
from .picture import burst
from .startproject import startproject


def create_app() -> Flask:
    """Return the site, ready to serve."""
    app = Flask(__name__)
    configure(app)
    log_to_stdout(app)
    app.jinja_env.globals.update(burst=burst, request_id=request_id)

    app.url_map.converters["name"] = NameConverter
    # Werkzeug's own redirects lead to whatever host is asked for.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.add_url_rule("/", view_func=index)
    app.add_url_rule("/user", view_func=user)
    app.add_url_rule("/user/<name:name>", view_func=user)

    app.add_url_rule("/.well-known/security.txt", view_func=security)
    for filename in ("favicon.ico", "robots.txt"):
        app.add_url_rule(f"/{filename}", "static", defaults={"filename": filename})
    app.view_functions["static"] = static
    app.url_defaults(add_version)

    app.cli.add_command(startproject)

    app.before_request(refuse_undecodable_address)
    app.before_request(require_https)
    app.after_request(secure(style=app.jinja_env.get_template("style.css").render()))
    app.after_request(deliver)
    app.register_error_handler(InvalidNameError, invalid_name)
    app.register_error_handler(HTTPException, error_page)

    if not app.debug:
        app.jinja_env.globals["url_for"] = remembered_url_for
        app.wsgi_app = Cache(app.wsgi_app)  # type: ignore[method-assign]  # Flask's own advice
    return app


def index() -> ResponseReturnValue:
    """What this site is, and a form that asks for a name."""
    return render_template("index.html"), FRESH


def user(name: str | None = None) -> ResponseReturnValue:
    """A greeting by name, at the name's one address; the form comes here with a query."""
    text = request.args.get("name", "") if name is None else name
    name = canonical(text)
    address = url_for("user", name=name)
    if text != name or request.root_path + request.path != unquote(address.partition("?")[0]):
        return redirect(address, 301), FRESH
    return render_template("user.html", name=name, address=address), FRESH


def security() -> ResponseReturnValue:
    """Whom to tell about a vulnerability (RFC 9116), where somebody is named."""
    if not current_app.config["SECURITY_CONTACT"]:
        abort(404)
    return render_template("security.txt"), FRESH | {"Content-Type": "text/plain; charset=utf-8"}


def refuse_undecodable_address() -> None:
    """Answer 400 to bytes that are not UTF-8, which Werkzeug would replace with U+FFFD."""
    try:
        request.environ["PATH_INFO"].encode("latin-1").decode()
        unquote_to_bytes(request.query_string).decode()
    except UnicodeDecodeError:
        abort(400, "This address is not written in UTF-8.")


def invalid_name(error: InvalidNameError) -> ResponseReturnValue:
    """The form again, with what was typed and what to do about it."""
    return render_template("index.html", invalid=error), 400


def error_page(error: HTTPException) -> Response:
    """A page for any HTTP error, with the headers that belong to it (405: Allow)."""
    if request_ctx.url_adapter is None:  # the host is not to be trusted with links
        request_ctx.url_adapter = current_app.url_map.bind("")
    response = error.get_response()
    response.data = render_template("error.html", error=error)
    return response
