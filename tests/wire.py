"""A network between a process and a server that fails on demand."""

from __future__ import annotations

import contextlib
import socket
import threading


class Wire:
    """A way to a server on this machine that can be cut, or go dead without anybody being told."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.goal = (host, port)
        self.ends: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.was_cut = threading.Event()
        self.is_dead = threading.Event()
        threading.Thread(target=self._carry, daemon=True).start()

    def cut(self) -> None:
        """From now on nothing gets through."""
        self.was_cut.set()
        for end in (self.listener, *self.ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def go_dead(self) -> None:
        """From now on everything is taken and nothing carried; connections stay open."""
        self.is_dead.set()

    def _carry(self) -> None:
        while True:
            try:
                ours, _ = self.listener.accept()
                theirs = socket.create_connection(self.goal)
            except OSError:
                return
            self.ends += [ours, theirs]
            for one, other in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                if not self.is_dead.is_set():
                    other.sendall(data)
            if not self.is_dead.is_set():
                other.shutdown(socket.SHUT_WR)
