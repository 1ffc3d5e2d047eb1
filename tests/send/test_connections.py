"""A connection for every thread that calls, kept from call to call, and let go of at the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tasks import http

THREADS, CALLS = 3, 5


class _Loopback(ThreadingHTTPServer):
    """Answers everything; says over which connections it was asked, and how many of them are open still."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.ports: list[int] = []  # of the other side, one a request
        self.ended = threading.Semaphore(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Loopback

    def do_GET(self) -> None:
        self.server.ports.append(self.client_address[1])
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def finish(self) -> None:
        super().finish()
        self.server.ended.release()

    def log_message(self, *_: object) -> None:
        """Nothing: a test is quiet."""


@pytest.fixture
def loopback() -> Iterator[_Loopback]:
    with _Loopback() as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def test_every_thread_has_one_connection_and_keeps_it(loopback: _Loopback):
    at_once = threading.Barrier(THREADS)

    def calls(client: httpx.Client) -> None:
        at_once.wait()
        for _ in range(CALLS):
            assert client.get("/").text == "ok"

    with http.client(loopback.url, timeout=5) as client, ThreadPoolExecutor(THREADS) as threads:
        for done in [threads.submit(calls, client) for _ in range(THREADS)]:
            done.result()

    assert sorted(loopback.ports.count(port) for port in set(loopback.ports)) == [CALLS] * THREADS


def test_closing_the_client_lets_go_of_the_connections_of_all_threads(loopback: _Loopback):
    client = http.client(loopback.url, timeout=5)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(client.get, "/").result()
    client.get("/")
    assert not loopback.ended.acquire(blocking=False)

    client.close()

    assert loopback.ended.acquire(timeout=5)
    assert loopback.ended.acquire(timeout=5)
