"""A server that only counts: it answers as both platforms do where they take everything, and reads no body.

Run as a process of its own (`python -m tests.benchmarks.sink`): it prints its port and serves until it is
ended. `GET /taken` tells the requests and bytes that it was sent since it was last asked.
"""

from __future__ import annotations

import asyncio
import itertools
import json

from connectors.google.facts import EVENTS_PER_REQUEST
from connectors.meta.facts import MEMBERS_PER_REQUEST

_AUDIENCE = {"id": "4001", "name": "best-customers", "subtype": "CUSTOM", "is_value_based": True}


class Sink:
    """Answers by the end of the path alone."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._requests = 0
        self._bytes = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the other side ends it."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                request, *fields = head.decode("latin-1").split("\r\n")
                method, path, _ = request.split(" ")
                left = length = next(
                    (int(each[15:]) for each in fields if each.lower().startswith("content-length:")), 0
                )
                while left:
                    left -= len(await reader.read(min(left, 1 << 20)))
                body = json.dumps(self._answer(method, path.partition("?")[0], length)).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                    % (len(body), body)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, method: str, path: str, length: int) -> object:
        if path == "/taken":
            taken = {"requests": self._requests, "bytes": self._bytes}
            self._requests = self._bytes = 0
            return taken
        if method == "GET" and path.endswith("/customaudiences"):
            return {"data": [_AUDIENCE]}
        if method == "GET":
            return {"requestStatusPerDestination": [{"requestStatus": "SUCCESS"}]}
        self._requests += 1
        self._bytes += length
        number = next(self._ids)
        if path.endswith(":ingest"):
            return {"requestId": f"request-{number}"}
        if path.endswith("/users"):
            return {"audience_id": "4001", "num_received": MEMBERS_PER_REQUEST, "num_invalid_entries": 0}
        return {"events_received": EVENTS_PER_REQUEST, "fbtrace_id": f"trace{number}"}


async def run() -> None:
    """Serve on a free port of loopback."""
    server = await asyncio.start_server(Sink().serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(run())
