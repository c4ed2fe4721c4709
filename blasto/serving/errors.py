"""Error responses: the page error.html, or for an API client a problem (RFC 9457)."""

import json

from flask import Flask, current_app, render_template, request
from jinja2 import TemplateNotFound
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.wrappers import Response

from .headers import MAX_FIELD
from .log import request_id


def init_app(app: Flask) -> None:
    """Register the error pages, unless the site handles all exceptions itself."""
    if Exception not in app.error_handler_spec[None][None]:
        app.register_error_handler(Exception, error_response)


def error_response(error: Exception) -> Response:
    """Return an error's own response, or else a problem or a page with its status and headers."""
    if type(error).__module__ == "gunicorn.http.errors":  # the body is malformed, or cut short
        error = BadRequest()
    if not isinstance(error, HTTPException):
        raise error  # Flask logs it, and calls this again with an InternalServerError
    response = error.get_response()
    if error.response or type(error).get_body is not HTTPException.get_body:
        return response
    if prefers_json():
        problem = {"title": error.name, "status": error.code, "detail": error.description}
        response.data = json.dumps(problem | {"request_id": request_id()})
        response.mimetype = "application/problem+json"
        return response
    try:
        response.data = render_template("error.html", error=error)
    except Exception as failure:  # the layout, or the database behind it
        failure.__suppress_context__ = True  # which is in the log already
        if not isinstance(failure, TemplateNotFound) or failure.name != "error.html":
            current_app.logger.exception("error.html failed for status %s", error.code)
        response.data = f"{error.code} {error.name}\n{error.description}\n{request_id()}\n"
        response.mimetype = "text/plain"
    return response


def prefers_json() -> bool:
    """Return whether the client prefers JSON to HTML."""
    if len(request.headers.get("Accept", "")) > MAX_FIELD:
        return False
    types = ("text/html", "application/json", "application/problem+json")
    return request.accept_mimetypes.best_match(types, "text/html") != "text/html"
