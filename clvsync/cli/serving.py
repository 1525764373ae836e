"""serve, sandbox, demo."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from clvsync.cli.output import (
    DEFAULT_CONFIG,
    ConfigOption,
    ExitCode,
    JsonOption,
    answering,
    console,
    err_console,
    print_json,
    progress,
    set_up_logging,
)


def register(app: typer.Typer) -> None:
    """Adds these commands to the application."""
    app.command()(serve)
    app.command()(sandbox)
    app.command()(demo)


@answering
def serve(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """The daemon: every sync on its schedule, until SIGTERM."""
    from clvsync.agent.daemon import Daemon
    from clvsync.config.loading import load

    set_up_logging(logging.INFO)
    Daemon(load(config)).run_until_stopped()


@answering
def sandbox(
    http_port: Annotated[int, typer.Option(help="Data Manager, Graph and OAuth; 0: any free one.")] = 8700,
    grpc_port: Annotated[int, typer.Option(help="Google Ads API; 0: any free one.")] = 8701,
    as_json: JsonOption = False,
) -> None:
    """The stand-in platforms on loopback, until interrupted. Faults: POST /_sandbox/faults."""
    import signal
    import threading

    from connectors.sandbox.server import Sandbox

    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with Sandbox(http_port=http_port, grpc_port=grpc_port) as running:
        addresses = {
            "http": running.http_url,
            "google_ads": running.ads_endpoint,
            "certificate": str(running.certificate),
        }
        if as_json:
            print_json(addresses)
        else:
            for name, address in addresses.items():
                console().print(f"{name:12} {address}", highlight=False)
        stopped.wait()


@answering
def demo(
    folder: Annotated[Path, typer.Option(help="Where the sample shop and its state go.")] = Path("demo"),
    customers: Annotated[int, typer.Option(help="How many customers the shop has.", min=500)] = 24_000,
    picture: Annotated[Path | None, typer.Option(help="Keep the closing table as an SVG here too.")] = None,
    as_json: JsonOption = False,
) -> None:
    """The main job on a sample shop, against the sandbox: two runs with some changes between."""
    from clvsync.demo.story import play
    from clvsync.demo.summary import show

    def say(sentence: str) -> None:
        err_console().print(sentence, highlight=False)

    with progress(as_json=as_json) as tell:
        played = play(folder, customers=customers, say=say, tell=tell)
    if as_json:
        print_json({"runs": [run for part in played.passes for run in part.runs]})
    else:
        show(console(), played.passes, played.sent, next_steps=played.next_steps)
    if picture is not None:
        from clvsync.demo.picture import drawn

        picture.write_text(drawn(played.passes, played.sent), encoding="utf-8")
    raise typer.Exit(ExitCode.WELL if played.went_well else ExitCode.REJECTS_OR_FAILED)
