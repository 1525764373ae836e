"""check, explain, rejects, schema."""

from __future__ import annotations

from typing import Annotated

import typer

from clvsync.cli.output import (
    DEFAULT_CONFIG,
    ConfigOption,
    ExitCode,
    JsonOption,
    answering,
    print_json,
    read_config,
)


def register(app: typer.Typer) -> None:
    """Adds these commands to the application."""
    app.command()(check)
    app.command()(explain)
    app.command()(schema)
    rejects = typer.Typer(help="Rows that were refused, and why.", no_args_is_help=True)
    rejects.command("list")(rejects_list)
    app.add_typer(rejects, name="rejects")


@answering
def check(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Configuration, warehouse, columns, credentials, permissions and readiness, each with what to do."""
    from clvsync.cli import tables
    from clvsync.sync.business import Business
    from connectors.types import Severity

    with Business.open(read_config(config)) as business:
        findings = business.check()
    if as_json:
        print_json(
            {
                "findings": [
                    {"severity": f.severity, "what": f.what, "found": f.found, "remedy": f.remedy}
                    for f in findings
                ]
            }
        )
    else:
        tables.show_findings(findings)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise typer.Exit(ExitCode.CONFIGURATION)


@answering
def explain(
    key: Annotated[str, typer.Argument(help="A customer's or an order's key.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """One customer: history, lifetime value, value, what was sent, what the platform said."""
    from clvsync.cli import tables
    from clvsync.sync.business import Business

    with Business.open(read_config(config)) as business:
        story = business.explain(key)
    if as_json:
        print_json(story.to_json())
    else:
        tables.show_story(story)


@answering
def rejects_list(
    sync: Annotated[str | None, typer.Argument(help="The sync's name; none: all.")] = None,
    limit: Annotated[int, typer.Option(help="How many at the most.", min=1)] = 50,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Refused rows with the reason, the platform's words and what to do."""
    from clvsync.cli import tables
    from clvsync.sync.business import Business

    with Business.open(read_config(config)) as business:
        refused = business.rejects(sync, limit)
    if as_json:
        print_json({"rejects": [tables.entry_json(entry) for entry in refused]})
    else:
        tables.show_rejects(refused)


@answering
def schema() -> None:
    """The JSON Schema of the configuration, for an editor."""
    from clvsync.config.sections import Config

    print_json(Config.model_json_schema(by_alias=True))
