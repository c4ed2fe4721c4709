"""gunicorn's settings (https://gunicorn.org/reference/settings/).

Do not import the site here: gunicorn would load it before gevent patches the standard library,
and a page that calls an HTTPS URL would fail.

gunicorn itself reads WEB_CONCURRENCY (the number of workers), FORWARDED_ALLOW_IPS (the proxies
whose X-Forwarded-Proto to trust) and GUNICORN_CMD_ARGS (any other setting).
"""

import os
import socket
from datetime import timedelta
from json import dumps
from typing import Any

from gunicorn.glogging import Logger

# One socket for IPv6 and IPv4 (RFC 4291, 2.5.5.2).
host = "[::]" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104
bind = f"{host}:{os.environ.get('PORT', '8000')}"

# Greenlets are cheap, whereas a dozen slow clients would occupy every thread of a gthread worker.
# `async def` views fail under it (https://github.com/pallets/flask/issues/5881).
worker_class = "gevent"

# Per worker, and idle connections count: 1,000 of them would shut visitors out by default.
worker_connections = 5000

# Heroku's router keeps idle connections for 90 s, and loses a request on one that closes sooner.
keepalive = 95  # seconds

# Idle connections are closed only then, and Heroku sends SIGKILL 30 s after SIGTERM.
graceful_timeout = 10  # seconds

# A form field of 800 characters fits; Heroku's router accepts two bytes more.
limit_request_line = 8190  # bytes

# By default, any client could set SCRIPT_NAME if FORWARDED_ALLOW_IPS is "*".
forwarder_headers = ""

# No socket in the home directory for gunicorn's own command line.
control_socket_disable = True


class AccessLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Writes a line of logfmt for each request; access_log_format would take twice as long."""

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        request_id = environ.get("HTTP_X_REQUEST_ID", "-")
        if "PATH_INFO" not in environ:  # gunicorn has rejected it: its headers are in `req` alone
            request_id = dict(req.headers).get("X-REQUEST-ID", "-")
        print(  # dumps() quotes what a client can choose freely
            f"method={environ['REQUEST_METHOD']} path={dumps(environ['RAW_URI'])}"
            f" status={resp.status[:3]} bytes={resp.sent}"
            f" duration={request_time.total_seconds() * 1000:.1f}ms request_id={dumps(request_id)}",
            flush=True,
        )


accesslog = "-"
logger_class = AccessLogger
