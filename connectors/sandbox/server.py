"""Both platforms' servers on loopback, started and stopped as one."""

from __future__ import annotations

import asyncio
import logging
import socket
import tempfile
import threading
import time
from concurrent import futures
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from uvicorn.protocols.http.h11_impl import H11Protocol

from connectors.sandbox import control, oauth
from connectors.sandbox.certificate import write_certificate
from connectors.sandbox.endpoint import CONNECTIONS, Clock
from connectors.sandbox.faults import Faults
from connectors.sandbox.state import State

START_TIMEOUT_SECONDS = 10.0
GRPC_THREADS = 8
LARGEST_GRPC_MESSAGE = 64 * 1024 * 1024


def _system_clock() -> datetime:
    return datetime.now(UTC)


class Sandbox:
    """A context manager around the stand-in platforms.

    Meta's Graph API, Google's Data Manager API and its OAuth token endpoint stand at `http_url`; the Google
    Ads API is gRPC over TLS at `ads_endpoint`, with the self-signed `certificate`. Port 0 takes a free one.
    `clock` is the platforms' clock (aware UTC); `seed` makes faults by probability repeatable.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        http_port: int = 0,
        grpc_port: int = 0,
        clock: Clock | None = None,
        seed: int = 0,
    ) -> None:
        self.state = State()
        self.faults = Faults(seed)
        self._host = host
        self._http_port = http_port
        self._grpc_port = grpc_port
        self._clock = clock or _system_clock
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._web: _WebServer | None = None
        self._grpc: Any = None
        self._certificate: Path | None = None

    @property
    def http_url(self) -> str:
        return f"http://{self._host}:{self._http_port}"

    @property
    def ads_endpoint(self) -> str:
        return f"localhost:{self._grpc_port}"

    @property
    def certificate(self) -> Path:
        if self._certificate is None:
            raise RuntimeError("sandbox: the certificate is made by start()")
        return self._certificate

    def start(self) -> None:
        """Start both servers; they answer when this returns."""
        self._folder = tempfile.TemporaryDirectory(prefix="sandbox-")
        self._certificate, key = write_certificate(Path(self._folder.name))
        try:
            self._start_grpc(self._certificate, key)
            self._web = _WebServer(self._application(), self._host, self._http_port)
            self._http_port = self._web.port
            self._web.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop both servers, dropping what is under way. `state` stays readable."""
        if self._web is not None:
            self._web.stop()
            self._web = None
        if self._grpc is not None:
            self._grpc.stop(grace=0).wait()
            self._grpc = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        self._certificate = None

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_grpc(self, certificate: Path, key: Path) -> None:
        import grpc

        from connectors.sandbox.google_ads import add_google_ads_service

        server = grpc.server(
            futures.ThreadPoolExecutor(GRPC_THREADS, thread_name_prefix="sandbox-grpc"),
            options=[
                ("grpc.max_receive_message_length", LARGEST_GRPC_MESSAGE),
                ("grpc.max_send_message_length", LARGEST_GRPC_MESSAGE),
                # Without it a second sandbox could quietly share the port.
                ("grpc.so_reuseport", 0),
            ],
        )
        add_google_ads_service(server, self.state, self.faults, self._clock)
        credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
        self._grpc_port = server.add_secure_port(f"{self._host}:{self._grpc_port}", credentials)
        server.start()
        self._grpc = server

    def _application(self) -> Starlette:
        from connectors.sandbox import google_data_manager, meta

        routes: list[BaseRoute] = [
            *control.routes(self.state, self.faults),
            *oauth.routes(self.state, self.faults, self._clock),
            *google_data_manager.routes(self.state, self.faults, self._clock),
            *meta.routes(self.state, self.faults, self._clock),
        ]
        return Starlette(routes=routes)


class _WebServer:
    """Uvicorn in a thread of its own, on a socket that is bound at once."""

    def __init__(self, application: Starlette, host: str, port: int) -> None:
        connections: dict[Any, asyncio.Transport] = {}
        setattr(application.state, CONNECTIONS, connections)

        class Protocol(H11Protocol):
            """Keeps the open connections by peer, so that one can be dropped without an answer."""

            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                connections[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                connections.pop(self.client, None)
                super().connection_lost(exc)

        self._socket = socket.create_server((host, port))
        # asyncio does so only for sockets that it made itself; without it answers wait 40 ms for an ACK.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                application,
                http=Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level=logging.CRITICAL,
                access_log=False,
                timeout_keep_alive=60,
                timeout_graceful_shutdown=0,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="sandbox-http", daemon=True
        )

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError(f"sandbox: the web server did not start on port {self.port}")
            time.sleep(0.002)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.should_exit = True
            self._thread.join()
        self._socket.close()
