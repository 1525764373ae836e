"""A server on loopback that answers as it is told: whatever bytes a gateway or a broken line could give."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs

Behaviour = Callable[[socket.socket], None]


@dataclass
class Seen:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: str

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body).items()}


@dataclass
class Wire:
    """Reads each request whole and then hands its connection to the next behaviour; the last one repeats."""

    behaviours: list[Behaviour]
    certificate: tuple[Path, Path] | None = None
    seen: list[Seen] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @property
    def url(self) -> str:
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        context = None
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, context), daemon=True).start()

    def _serve(self, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) if context else connection as line:
                request = _read(line)
                with self._lock:
                    self.seen.append(request)
                    behave = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
                behave(line)
        except OSError:
            return


def _read(line: socket.socket) -> Seen:
    data = line.recv(65536)
    while data[:1].isalpha() and b"\r\n\r\n" not in data:
        data += line.recv(65536) or b"\r\n\r\n"
    head, _, body = data.partition(b"\r\n\r\n")
    if not head[:1].isalpha():  # TLS spoken to a plain server
        answer("", 400)(line)
        raise ConnectionError
    first, *rest = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
    while len(body) < int(headers.get("content-length", 0)):
        body += line.recv(65536)
    method, target, _ = first.split(" ")
    return Seen(method, target, headers, body.decode())


def answer(body: str, status: int = 200, **headers: str) -> Behaviour:
    """An HTTP answer; underscores in header names stand for hyphens."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body.encode())}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    content = ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
    return lambda line: line.sendall(content)


def reset(line: socket.socket) -> None:
    """Drop the connection with a reset, once the request was read."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


def hang_up(line: socket.socket) -> None:
    """Close the connection politely, without an answer."""
    line.shutdown(socket.SHUT_RDWR)


def half_an_answer(line: socket.socket) -> None:
    line.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"events_rec')


def silence(line: socket.socket) -> None:
    """Never answer; wait until the other side gives up."""
    while line.recv(65536):
        pass
