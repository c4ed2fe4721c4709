"""What gunicorn is told to use: a worker and a logger of the site's own."""

import re
import signal
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import timedelta
from socket import SHUT_RD
from types import FrameType
from typing import Any

import gevent
from gunicorn.glogging import Logger
from gunicorn.http.errors import InvalidHeader, InvalidRequestLine
from gunicorn.util import close_graceful
from gunicorn.workers.ggevent import GeventWorker
from werkzeug.sansio.utils import host_is_trusted

from .log import logfmt

STOP_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)

# What a server that is no proxy can be asked for (RFC 9112, 3.2).
TARGET = re.compile(r"(?:/|https?://[^/?#])[^#]*|\*")

# A connection that asks for nothing for so long, while the worker stops, is idle.
IDLE_SECONDS = 0.5

# How much of a body nobody reads is let in, so that its sender comes to read the answer.
MAX_DRAIN = 1_000_000  # bytes


class Worker(GeventWorker):
    """Stops when what is under way is answered, and waits for no idle connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.idle: set[gevent.socket.socket] = set()  # the connections that wait for a request

    def init_process(self) -> None:
        # Before a worker has its own handlers, a signal would be lost on the master's.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def handle(self, listener: Any, client: gevent.socket.socket, addr: Any) -> None:
        self.idle.add(client)
        try:
            super().handle(listener, client, addr)
        finally:
            self.idle.discard(client)

    def handle_request(
        self, listener_name: Any, req: Any, sock: gevent.socket.socket, addr: Any
    ) -> bool:
        self.idle.discard(sock)
        headers = dict(req.headers)
        if not TARGET.fullmatch(req.uri):
            raise InvalidRequestLine(req.uri)
        if (req.version > (1, 0) or "HOST" in headers) and not host_is_trusted(headers.get("HOST")):
            raise InvalidHeader("HOST", req=req)
        has_body = "CONTENT-LENGTH" in headers or "TRANSFER-ENCODING" in headers
        if has_body:
            req.force_close()  # unread here, a body may end elsewhere than it says
        try:
            return super().handle_request(listener_name, req, sock, addr)
        except StopIteration:
            if has_body:  # a close with bytes unread would take the answer back (RFC 9112, 9.6)
                close_graceful(sock, max_drain=MAX_DRAIN)
            raise
        finally:
            self.idle.add(sock)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        # Ctrl+C comes twice, from the terminal and from the master; leaving twice never ends.
        if self.alive:
            self.alive = False
            super().handle_quit(sig, frame)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        gevent.spawn(self.let_go)

    def let_go(self) -> None:
        """End the connections that stay idle; one that asks again is told "close" properly."""
        while True:
            idle = self.idle.copy()
            gevent.sleep(IDLE_SECONDS)
            for client in idle & self.idle:
                # Through a duplicate, or gevent raises in who reads: so what has come in is read
                # and answered, and the end comes after it.
                with suppress(OSError), client.dup() as line:
                    line.shutdown(SHUT_RD)


class AccessLogger(Logger):
    """Writes a request as the platform's router does: a line of logfmt."""

    def access(
        self,
        resp: Any,
        req: Any,  # noqa: ARG002
        environ: MutableMapping[str, Any],
        request_time: timedelta,
    ) -> None:
        self.access_log.info(
            "%s",
            logfmt(
                method=environ["REQUEST_METHOD"],
                path=environ["RAW_URI"],
                status=resp.status.split(" ")[0],
                bytes=resp.sent,
                duration=f"{request_time / timedelta(milliseconds=1):.1f}ms",
                request_id=environ.get("HTTP_X_REQUEST_ID", "-"),
            ),
        )
