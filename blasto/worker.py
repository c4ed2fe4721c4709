"""The gunicorn worker: gevent's, which when told to stop also lets go of idle connections."""

from socket import SHUT_RD
from types import FrameType
from typing import Any

import gevent
from gunicorn.workers.ggevent import GeventWorker

# A connection in use sends its next request within that time and is answered "close" properly.
IDLE_SECONDS = 1


class Worker(GeventWorker):
    """Answers what is under way when it stops, without waiting for who keeps a line open."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.idle: set[gevent.socket.socket] = set()

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

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        gevent.spawn_later(IDLE_SECONDS, self.let_go)

    def let_go(self) -> None:
        for client in self.idle:
            client.shutdown(SHUT_RD)
