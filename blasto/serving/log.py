"""Logs: one line of logfmt for each event, on standard output, with the request's ID."""

import json
import logging
import re
import sys
from uuid import uuid4

from flask import Flask, has_request_context, request

REQUEST_ID = re.compile(r"[\w-]{20,200}", re.ASCII)  # as Heroku's router accepts from a client


def init_app(app: Flask) -> None:
    """Log to standard output, and give templates `request_id()`."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(LogfmtFormatter())
    app.logger.handlers = [handler]
    app.logger.setLevel(logging.INFO)
    app.jinja_env.globals["request_id"] = request_id


def request_id() -> str:
    """Return the X-Request-ID that the router sent, or a new one if it sent none."""
    if not REQUEST_ID.fullmatch(request.headers.get("X-Request-ID", "")):
        # Stored in the environ, so that the server's access log has the same ID.
        request.environ["HTTP_X_REQUEST_ID"] = str(uuid4())
    return request.headers["X-Request-ID"]


class LogfmtFormatter(logging.Formatter):
    """Formats a record as a line of logfmt; no message can look like two."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"level={record.levelname.lower()} message={json.dumps(record.getMessage())}"
        if has_request_context():
            line += f" request_id={request_id()}"
        if not record.exc_info:
            return line
        # A traceback can quote the client: repr() escapes its control characters, and the
        # indentation keeps it from passing for a log line.
        traceback = self.formatException(record.exc_info).splitlines()
        return "\n    ".join([line, *(repr(text)[1:-1] for text in traceback)])
