"""How gunicorn serves the site (its documentation: https://gunicorn.org/reference/settings/).

What the platform sets in the environment wins: PORT, WEB_CONCURRENCY (the number of workers),
FORWARDED_ALLOW_IPS (the proxies to believe) and GUNICORN_CMD_ARGS (any setting).
"""

import os
import socket
import sys

from gunicorn.arbiter import Arbiter

# The debugger runs what a visitor types into it: never in public, whatever the environment says.
os.environ["FLASK_DEBUG"] = "0"

# Loaded once, before forking: workers share its memory and boot in no time, and a site that
# cannot start ends here with one line, not in workers that come and go.
preload_app = True
try:
    import blasto  # noqa: F401
except Exception as error:  # noqa: BLE001
    sys.exit(f"The site cannot start: {type(error).__name__}: {error} (`flask run` shows where)")

# One address for IPv6 and IPv4 (RFC 4291, 2.5.5.2), so that the site works on hosts with either.
host = "[::]" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104
bind = f"{host}:{os.environ.get('PORT', '8000')}"

# A dozen slow clients take all threads (gthread), and nobody else is answered; greenlets are many.
worker_class = "blasto.server.Worker"

# An idle connection takes one of these for as long as it is kept; by default a thousand of them
# would leave none for visitors.
worker_connections = 5000

# The platform's router keeps connections for 90 s and loses the requests on one that ends sooner.
keepalive = 95  # seconds

# SIGKILL comes 30 s after SIGTERM.
graceful_timeout = 20  # seconds

# The router passes on 8 KiB of request line; gunicorn takes two bytes less.
limit_request_line = 8190

# By default a visitor's own SCRIPT_NAME header is honoured where all proxies are to be believed.
forwarder_headers = ""

# The one header by which the router tells the scheme; any other is a visitor's.
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}

# A worker that waits for a disk to write its heartbeat looks dead.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112

# A line for each request, with the router's id of it.
accesslog = "-"
logger_class = "blasto.server.AccessLogger"

# No socket in the home directory for gunicorn's own command line.
control_socket_disable = True


def on_starting(server: Arbiter) -> None:
    """Say once that a port is taken; gunicorn says it eleven times in five seconds."""
    if "GUNICORN_FD" in os.environ:  # an upgrade (USR2) takes the port over
        return
    for address in server.address:
        if isinstance(address, tuple):
            ipv6 = ":" in address[0]
            family = socket.AF_INET6 if ipv6 else socket.AF_INET
            try:
                socket.create_server(address, family=family, dualstack_ipv6=ipv6).close()
            except OSError as error:
                reason = os.strerror(error.errno or 0).lower()
                sys.exit(f"Port {address[1]}: {reason}. Stop what listens there, or set PORT.")
