"""What gunicorn is told to use: a worker and a logger of the site's own."""

import signal
from collections.abc import MutableMapping
from datetime import timedelta
from socket import SHUT_RD
from types import FrameType
from typing import Any

import gevent
from gunicorn.glogging import Logger
from gunicorn.workers.ggevent import GeventWorker

from .log import logfmt

STOP_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)

# A connection in use sends its next request within that time and is answered "close" properly.
IDLE_SECONDS = 1


class Worker(GeventWorker):
    """Answers what is under way when it stops, without waiting for who keeps a line open."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.idle: set[gevent.socket.socket] = set()

    def init_process(self) -> None:
        # A signal that comes before its handler does would be lost on the master's.
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
        try:
            return super().handle_request(listener_name, req, sock, addr)
        finally:
            self.idle.add(sock)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        # Ctrl+C comes twice, from the terminal and from the master; leaving twice never ends.
        if self.alive:
            self.alive = False
            super().handle_quit(sig, frame)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        gevent.spawn_later(IDLE_SECONDS, self.let_go)

    def let_go(self) -> None:
        for client in self.idle:
            client.shutdown(SHUT_RD)


class AccessLogger(Logger):
    """Writes a request as the platform's router does: a line of logfmt."""

    def access(
        self,
        resp: Any,
        req: Any,  # noqa: ARG002
        environ: MutableMapping[str, Any],
        request_time: timedelta,
    ) -> None:
        if self.access_log_enabled:
            self.access_log.info(
                "%s",
                logfmt(
                    method=environ["REQUEST_METHOD"],
                    path=environ["RAW_URI"],
                    status=resp.status_code,
                    bytes=resp.sent,
                    duration=f"{request_time / timedelta(milliseconds=1):.1f}ms",
                    request_id=environ.get("HTTP_X_REQUEST_ID", "-"),
                ),
            )
