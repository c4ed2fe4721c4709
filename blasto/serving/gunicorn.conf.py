"""gunicorn's settings (https://gunicorn.org/reference/settings/).

Nothing of the site is imported here. gunicorn itself reads WEB_CONCURRENCY, the number of workers,
and GUNICORN_CMD_ARGS, options of its command line, which outrank all that is set here.
"""

import os
import re


def number(variable: str, least: int, most: int, *, default: int) -> int:
    """Return an environment variable's number, or end with a line that names the variable."""
    value = os.environ.get(variable, str(default))
    if not (value.isdecimal() and least <= int(value) <= most):
        raise SystemExit(f"{variable} must be a number from {least} to {most}, not {value!r}.")
    return int(value)


# Greenlets are cheap, whereas a dozen slow clients would occupy every thread of a gthread worker.
# But a greenlet that waits in C code, such as SQLite's, delays all others, and `async def` views
# fail (https://github.com/pallets/flask/issues/5881): WEB_THREADS is for these.
web_threads = number("WEB_THREADS", 0, 1_000, default=0)
threads = max(1, web_threads)
worker_class = "gthread" if web_threads else "gevent"
if worker_class == "gevent":
    # Before anything uses TLS, also if GUNICORN_CMD_ARGS has --preload (gevent #1016).
    import gevent.monkey
    import gevent.socket

    gevent.monkey.patch_all()
    from gunicorn.workers import ggevent

import logging
import resource
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quote
from secrets import token_hex
from typing import Any

from click import ClickException
from gunicorn.glogging import Logger
from gunicorn.http.errors import LimitRequestHeaders

# One socket for IPv6 and IPv4 (RFC 4291, 2.5.5.2), unless it would be for IPv6 alone, as on BSD.
host = "0.0.0.0"  # noqa: S104
with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
    if not probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        host = "[::]"
bind = f"{host}:{number('PORT', 0, 65_535, default=8000)}"

# Without workers, gunicorn would start, and answer nobody.
workers = number("WEB_CONCURRENCY", 1, 1_000, default=1)

# Per worker. Each connection takes 13 kB of memory, a file descriptor (a shell allows 1,024 by
# default), and another while it is sent a file.
_, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
# macOS reports no limit, but setrlimit(2) accepts no more than its OPEN_MAX.
descriptors = 10_240 if hard_limit == resource.RLIM_INFINITY else hard_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard_limit))
worker_connections = min(2500, (descriptors - 64) // 2)

# Heroku's router keeps idle connections for 90 s, and loses a request on one that closes sooner.
keepalive = 95  # seconds

# SIGKILL follows SIGTERM after 10 s in a container, and after 30 s on Heroku.
graceful_timeout = 7  # seconds

# A form field of 800 characters fits; Heroku's router accepts two bytes more.
limit_request_line = 8190  # bytes

# By default, any client could set SCRIPT_NAME if FORWARDED_ALLOW_IPS is "*".
forwarder_headers = ""

# Only the header that the README names: by default, a client's X-Forwarded-Ssl can contradict it.
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}

# gunicorn would log 0 bytes of a file, and send it before the head that Client holds back.
sendfile = False

# In place of a disk that may be slow, read-only or full.
if os.access("/dev/shm", os.W_OK):  # noqa: S108
    worker_tmp_dir = "/dev/shm"  # noqa: S108

# No socket in the home directory for gunicorn's own command line.
control_socket_disable = True

# Of a URL or of one of gunicorn's messages: even if each character is a quote, the line stays below
# 4,096 bytes (PIPE_BUF), so that no other process can write into it.
MAX_LOGGED = 1_700  # characters
MAX_ID = 200  # characters of a request's ID
LOG_ADDRESSES = bool(number("LOG_ADDRESSES", 0, 1, default=0))


@lru_cache(maxsize=1)
def stamp(second: int) -> str:
    """Return a time as a field of the log; Heroku adds its own."""
    now = datetime.fromtimestamp(second, UTC).isoformat()
    return "" if "DYNO" in os.environ else f"time={now} "


def write(line: str, failed: list[OSError] = []) -> None:  # noqa: B006  # once in a process
    """Write a line of the log; if that fails, say so once on standard error."""
    try:
        os.write(1, f"{stamp(int(time.time()))}{line}\n".encode())
    except OSError as error:
        if not failed:
            failed.append(error)
            with suppress(OSError):
                os.write(2, f"The log cannot be written: {error}\n".encode())


class LineFormatter(logging.Formatter):
    """Formats gunicorn's own events as a line of logfmt, any traceback indented below."""

    def format(self, record: logging.LogRecord) -> str:
        message, *traceback = super().format(record).split("\n")
        text = message.encode("ascii", "backslashreplace").decode()[:MAX_LOGGED]
        now, level = stamp(int(record.created)), record.levelname.lower()
        line = f"{now}level={level} message={quote(text)}"
        return "\n    ".join([line, *(repr(it)[1:-1] for it in traceback)])


class LineLogger(Logger):
    """Writes a line of logfmt for each request; access_log_format would take twice as long."""

    def _set_handler(self, log: Any, output: Any, fmt: Any, stream: Any = None) -> None:
        """Write gunicorn's own events to standard output, as all others."""
        if output == "-":
            fmt, stream = LineFormatter(), sys.stdout
        super()._set_handler(log, output, fmt, stream)

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log an exception, except for an invalid setting: gunicorn prints that message."""
        if not isinstance(sys.exception(), ClickException):
            super().exception(msg, *args, **kwargs)

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log a warning, with a rejected client's address only if LOG_ADDRESSES is set."""
        text = msg if LOG_ADDRESSES else re.sub(r" from ip=\S*:", ":", msg)
        super().warning(text, *args, **kwargs)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        # Of what gunicorn rejects, only `req` has the headers.
        request_id = environ.get("HTTP_X_REQUEST_ID") or id_of(req) or token_hex(16)
        address = f" address={environ.get('REMOTE_ADDR')}" if LOG_ADDRESSES else ""
        write(  # quote() is for values that a client can choose freely
            f"method={environ['REQUEST_METHOD']} path={quote(environ['RAW_URI'][:MAX_LOGGED])}"
            f" status={resp.status[:3]} bytes={resp.sent}"
            f" duration={request_time.total_seconds() * 1000:.1f}ms{address}"
            f" request_id={quote(request_id[:MAX_ID])}"
        )


def id_of(req: Any) -> str:
    """Return the ID of a request that may not have reached the site, which checks it."""
    request_id: str = dict(req.headers).get("X-REQUEST-ID", "")
    return request_id[:MAX_ID] if request_id.isascii() else ""


logger_class = LineLogger
PART = 65_536  # bytes of a body that is read at once


def connection_of(req: Any) -> Any:
    """Return the connection of a request, or None in HTTP/2, which shares one."""
    return getattr(getattr(req, "unreader", None), "sock", None)


def may_have_unread_body(environ: dict[str, Any], resp: Any) -> bool:
    """Return whether a response has been sent, and its view may have left some of a body."""
    has_body = "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ
    return bool(has_body and resp.headers_sent)  # otherwise gunicorn sends a 500


def pre_request(_worker: Any, req: Any) -> None:
    """Prepare a request whose headers have come."""
    # By default, trailers may have 800 kB, whose lines gunicorn counts anew at each packet.
    if hasattr(getattr(req, "body", None), "reader"):
        req.body.reader.limit_trailer_section = limit_request_line
    if worker_class == "gevent":
        gevent.getcurrent().request = req  # for worker_abort()
        waiting.pop(connection_of(req), None)


if worker_class == "gevent":
    MAX_HEADERS = 65_536  # bytes of one request; gunicorn itself limits lines and their number
    MAX_WAITING = 16_000_000  # bytes of all requests whose headers are not complete
    PAUSE = 1e-9  # seconds; with 0, gevent polls other connections only every 50th time

    class Client(gevent.socket.socket):
        """A connection that limits the headers of a request, and sends a response in one piece."""

        head = b""  # of a response, held back until its body comes

        def sendall(self, data: Any, flags: int = 0) -> None:
            # Two system calls fewer than gunicorn's way: 6 % of a page from the cache.
            head, self.head = self.head, b""
            is_head = not head and data[:5] == b"HTTP/" and data[-4:] == b"\r\n\r\n"
            # A longer body is not to be copied.
            if is_head and re.search(rb"\nContent-Length: [1-9]\d{,4}\r", data):
                self.head = data
                return
            data = head + data
            try:
                sent = self._sock.send(data, flags)
            except BlockingIOError:  # its client does not read
                sent = 0
            if sent < len(data):
                super().sendall(memoryview(data)[sent:], flags)
            if not (head or is_head):  # let others in between the pieces of a body
                gevent.sleep(PAUSE)

        def send(self, *arguments: Any, **timeout: Any) -> int:
            with self.closable():
                return super().send(*arguments, **timeout)

        def recv(self, *arguments: Any) -> bytes:
            if self not in waiting:
                gevent.sleep(PAUSE)  # let others in between the pieces of a body
                with self.closable():
                    return super().recv(*arguments)
            data = super().recv(*arguments)
            if self in waiting:  # close_oldest() has not closed it
                waiting[self] += len(data)
                if waiting[self] > MAX_HEADERS:
                    raise LimitRequestHeaders("all together")
                # Few requests need the sum, which takes time.
                if waiting[self] > limit_request_line and sum(waiting.values()) > MAX_WAITING:
                    close_oldest()
            return data

        @contextmanager
        def closable(self) -> Iterator[None]:
            """Let close_oldest() close it while its client neither sends a body nor reads."""
            waiting[self] = 1
            try:
                yield
            finally:
                waiting.pop(self, None)

    clients: set[Any] = set()
    closed: set[Any] = set()  # of these, in the last second
    # Clients that the site waits for, oldest first, and how many bytes of headers each has sent:
    # none if it is idle after a request, at least one otherwise.
    waiting: dict[Any, int] = {}
    idle: set[Any] = set()  # clients that were idle a second ago, if the worker ends

    def close_oldest() -> None:
        """Close the connection that the site has waited for longest."""
        if waiting:
            oldest = next(iter(waiting))
            del waiting[oldest]
            closed.add(oldest)  # or it would still count, and others be closed
            shut(oldest, socket.SHUT_RDWR)

    def shut(client: Any, how: int) -> None:
        """Shut a connection down; gevent's own shutdown() would make its recv() fail."""
        with suppress(OSError):  # its client may have closed it
            client._sock.shutdown(how)

    # On SIGHUP, gunicorn runs this file again in the same process: keep its own class.
    original: Any = vars(ggevent).setdefault("original", ggevent.GeventWorker)

    class Worker(original):
        """A gevent worker that closes waiting connections if it ends, or is nearly full."""

        def make_room(self) -> None:
            for _ in range(len(clients) - len(closed) - int(self.worker_connections * 0.9)):
                close_oldest()

        def notify(self) -> None:  # each second
            super().notify()
            closed.clear()  # a WebSocket's view may go on, and takes room
            self.make_room()  # a full worker accepts none, so handle() is not called
            # A worker that ends would wait for idle connections, and delay its successor; and
            # proxies would use them until it is killed.
            for client in [it for it, size in waiting.items() if not (size or self.alive)]:
                if client in idle:  # for a second
                    shut(client, socket.SHUT_RD)  # a request that has come is still read
                idle.add(client)

        def handle_error(self, req: Any, client: Any, address: Any, error: BaseException) -> None:
            # At exit, gunicorn would send a 500 on connections without a request.
            if not isinstance(error, gevent.GreenletExit):
                super().handle_error(req, client, address, error)

        def handle(self, listener: Any, connection: Any, address: Any) -> None:
            client = connection
            if not self.cfg.is_ssl and self.cfg.http_protocols == ["h1"]:
                client = Client(connection.family, fileno=connection.detach())
            # gunicorn parses IPv6 addresses four times as slowly; a Unix socket has none.
            if isinstance(address, tuple):
                address = (address[0].removeprefix("::ffff:"), *address[1:])
            clients.add(client)
            self.make_room()
            waiting[client] = 1
            try:
                super().handle(listener, client, address)
            finally:
                clients.discard(client)
                closed.discard(client)
                waiting.pop(client, None)

    ggevent.GeventWorker = Worker  # so that `--worker-class gevent` gets it too

    def post_request(_worker: Any, req: Any, environ: Any, resp: Any) -> None:
        client = connection_of(req)
        if getattr(client, "head", b""):  # there was no body
            with suppress(OSError):
                client.sendall(b"")
        if client in clients:
            if isinstance(client, Client) and may_have_unread_body(environ, resp):
                # Closing on unread data could take the response from the client (RFC 9112, 9.6).
                # After an error, gunicorn reads no further request from it.
                with suppress(Exception), gevent.Timeout(keepalive, TimeoutError):
                    if resp.should_close():
                        client.shutdown(socket.SHUT_WR)
                    while req.body.read(PART):
                        pass
            waiting[client] = 0
            if req.unreader.buf.tell():  # let others in before a pipelined request
                gevent.sleep(PAUSE)

    def worker_abort(_worker: Any) -> None:
        """Log the request that has blocked the worker until its timeout."""
        req = getattr(gevent.getcurrent(), "request", None)
        if req:
            write(
                f'level=critical message="This request blocked its worker, which is replaced."'
                f" method={req.method} path={quote(req.uri[:MAX_LOGGED])}"
                f" request_id={quote(id_of(req))}"
            )

else:
    from threading import Thread, active_count

    from gunicorn import util
    from gunicorn.workers import gthread

    def close(conn: Any, graceful: bool = False) -> None:
        """Close a connection; another thread waits for its client, because this one accepts."""
        # For up to 2 s, in which it takes a descriptor.
        if graceful and active_count() < threads + worker_connections // 4:
            Thread(target=util.close_graceful, args=(conn.sock,), daemon=True).start()
        else:
            util.close(conn.sock)

    gthread.TConn.close = close
    # On SIGHUP, gunicorn runs this file again in the same process: keep its own class.
    original_thread_worker: Any = vars(gthread).setdefault("original", gthread.ThreadWorker)

    class ThreadWorker(original_thread_worker):
        """A gthread worker that refuses connections if it ends, so that proxies ask others."""

        def set_accept_enabled(self, enabled: bool) -> None:
            alive = self.alive  # which another thread may change
            super().set_accept_enabled(enabled and alive)
            if not alive:  # otherwise the kernel would accept them, and nobody respond
                for listener in self.sockets:
                    before = -1
                    while listener.sock and before < self.nr_conns:  # take those in the queue
                        before = self.nr_conns
                        self.accept(listener)
                    listener.close()

    gthread.ThreadWorker = ThreadWorker

    def post_request(_worker: Any, req: Any, environ: Any, resp: Any) -> None:
        """Read what a view has left of a body, which could take the response from the client."""
        connection, end = connection_of(req), time.monotonic() + graceful_timeout
        if connection and may_have_unread_body(environ, resp):
            with suppress(Exception):
                connection.settimeout(2)
                while time.monotonic() < end and req.body.read(PART):
                    pass
