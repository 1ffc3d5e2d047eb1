"""A provider that accepts at once, or after a while: `python -m bench.provider SECONDS` prints its port and serves.

It reads each request to its end and answers as SendGrid, WhatsApp, Meta or Google would; how many messages it accepted
it tells at /count. It is kept small, because it shares the machine with what is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import ClassVar

HEAD_END = b"\r\n\r\n"


class Provider(asyncio.Protocol):
    """One connection; requests follow one another on it."""

    accepted: ClassVar = {"email": 0, "whatsapp": 0}
    seconds = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self.transport = transport
        self.buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        """Answer every request that has arrived whole."""
        self.buffer += data
        while (end := self.buffer.find(HEAD_END)) >= 0:
            head = bytes(self.buffer[:end])
            length = 0
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            whole = end + len(HEAD_END) + length
            if len(self.buffer) < whole:
                return
            body = bytes(self.buffer[end + len(HEAD_END) : whole])
            del self.buffer[:whole]
            answer = self._answer(head, body)
            if Provider.seconds and body:
                asyncio.get_running_loop().call_later(Provider.seconds, self._write, answer)
            else:
                self._write(answer)

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if b"/mail/send" in head:
            Provider.accepted["email"] += body.count(b'"attempt_id"')
            return _http(202, b"", b"X-Message-Id: bench\r\n")
        if b"/audienceMembers:" in head:
            return _http(200, b'{"requestId":"bench"}')
        if b"/users" in head:
            return _http(200, b'{"audience_id":"1","num_received":1,"num_invalid_entries":0}')
        if b"/userLists" in head or b"customaudiences" in head:  # there is one of any name
            return _http(200, b'{"userLists":[{"id":"1","displayName":"back"}],"data":[{"id":"1","name":"back"}]}')
        if b"/count" in head:
            return _http(200, json.dumps(Provider.accepted).encode())
        Provider.accepted["whatsapp"] += 1
        return _http(200, b'{"messaging_product":"whatsapp","messages":[{"id":"wamid.bench"}]}')

    def _write(self, answer: bytes) -> None:
        self.transport.write(answer)  # ty: ignore[unresolved-attribute] - a connection's transport writes


def _http(status: int, body: bytes, headers: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n".encode()
    return head + headers + b"\r\n" + body


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    Provider.seconds = float(sys.argv[1])
    asyncio.run(_serve())
