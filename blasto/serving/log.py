"""Logs: one line of logfmt for each event, on standard output, with the request's ID."""

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime

import flask.logging
from flask import Flask, has_request_context, request

from .headers import Environ

REQUEST_ID = re.compile(r"[\w+/=-]{20,200}", re.ASCII)  # Heroku's router accepts these too


def init_app(app: Flask) -> None:
    """Log all events that no other handler logs, and give templates `request_id()`."""
    # The standard output of a flask command is for what it exports.
    handler = LogfmtHandler(sys.stderr if "FLASK_RUN_FROM_CLI" in os.environ else sys.stdout)
    # For all loggers, until the site sets up handlers of its own.
    handler.addFilter(lambda _record: not logging.root.handlers)
    app.logger.removeHandler(flask.logging.default_handler)
    logging.lastResort = handler
    logging.captureWarnings(capture=True)
    logging.getLogger("py.warnings").handlers = [handler]  # or logging adds a NullHandler
    # Only the site's own: at this level, HTTP clients log URLs with their secrets.
    site = logging.getLogger(app.name.partition(".")[0])
    if app.debug or not logging.root.handlers:
        site.setLevel(logging.DEBUG if app.debug else logging.INFO)
    app.jinja_env.globals["request_id"] = request_id


def name_request(environ: Environ) -> str:
    """Return the X-Request-ID of a request; if it has no valid one, give it a new one."""
    sent: str = environ.get("HTTP_X_REQUEST_ID", "")
    if not REQUEST_ID.fullmatch(sent):
        environ["HTTP_X_REQUEST_ID"] = sent = os.urandom(16).hex()
    return sent


def request_id() -> str:
    """Return the ID of the current request."""
    return name_request(request.environ)


class LogfmtHandler(logging.StreamHandler):
    """Writes each record as one line of logfmt, whatever its message contains."""

    def format(self, record: logging.LogRecord) -> str:
        now = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = "" if "DYNO" in os.environ else f"time={now} "  # Heroku adds the time
        line += f"level={record.levelname.lower()} message={json.dumps(record.getMessage())}"
        if has_request_context():
            line += f" request_id={json.dumps(request_id())}"
        # A traceback can quote the client: repr() escapes its control characters, and the
        # indentation keeps it from passing for a log line.
        error = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        details = f"{error}\n{record.stack_info or ''}".strip().splitlines()
        return "\n    ".join([line, *(repr(text)[1:-1] for text in details)])

    def handleError(self, record: logging.LogRecord) -> None:  # logging's own name
        """Drop an event that cannot be written; gunicorn.conf.py reports that once."""
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)
