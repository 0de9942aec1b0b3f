"""A web server that comes to no end while anybody has patience: a byte now and then, for a minute."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

DROP_SECONDS = 0.05
DROPS = 1200


@contextmanager
def dribbling(head: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> Iterator[str]:
    """Its URL. `head`: said at once; what follows comes by drops."""
    listening, over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve(line: socket.socket) -> None:
        with line, suppress(OSError):
            line.sendall(head)
            for _ in range(DROPS):
                if over.wait(DROP_SECONDS):
                    return
                line.sendall(b"x")

    def accept() -> None:
        with suppress(OSError):
            while True:
                line, _ = listening.accept()
                threading.Thread(target=serve, args=(line,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(60)
