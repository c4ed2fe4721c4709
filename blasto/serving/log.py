"""Logs: a line of logfmt for each event on standard output, with the id of its request."""

import json
import logging
import re
import sys
from uuid import uuid4

from flask import Flask, has_request_context, request

PLAIN = re.compile(r"[\w./%-]+", re.ASCII)
REQUEST_ID = re.compile(r"[\w-]{20,200}", re.ASCII)


def log_to_stdout(app: Flask) -> None:
    """Send what the application logs to standard output, where the platform collects it."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Formatter())
    app.logger.handlers = [handler]
    app.logger.setLevel(logging.INFO)


def request_id() -> str:
    """Return the router's id of this request, or a new one where it sent none."""
    if not REQUEST_ID.fullmatch(request.headers.get("X-Request-ID", "")):
        request.environ["HTTP_X_REQUEST_ID"] = str(uuid4())
    return request.headers["X-Request-ID"]


def logfmt(**fields: object) -> str:
    """Return fields as key=value, quoted as JSON where a value could be read as more than one."""
    return " ".join(f"{key}={quoted(str(value))}" for key, value in fields.items())


def quoted(value: str) -> str:
    return value if PLAIN.fullmatch(value) else json.dumps(value)


class Formatter(logging.Formatter):
    """One line of logfmt, then an exception's traceback, indented so that it passes for none."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"level": record.levelname.lower(), "message": record.getMessage()}
        if has_request_context():
            fields["request_id"] = request_id()
        lines = [logfmt(**fields)]
        if record.exc_info:
            lines += self.formatException(record.exc_info).splitlines()
        return "\n    ".join(map(printable, lines))


def printable(line: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
