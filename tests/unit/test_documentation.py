"""What the pages say, held against the program."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml
from dotenv import dotenv_values

from clvsync.cli.main import app
from clvsync.cli.output import ExitCode
from clvsync.clv.bgnbd import BgNbd
from clvsync.clv.first_order import Factor, FittedFirstOrder
from clvsync.clv.gamma_gamma import GammaGamma
from clvsync.clv.model import Terms
from clvsync.clv.repeat_purchases import FittedRepeatPurchases
from clvsync.config.loading import STATE_KEY_VARIABLE, load
from clvsync.config.sections import Accounts, Config
from clvsync.config.value_policy import ValuePolicy
from clvsync.connections import open_destination, open_source
from clvsync.customers.mapping import mapped
from clvsync.customers.summary import order_summary
from clvsync.ledger.outbox import Doubt
from clvsync.plan import Remark
from clvsync.sync.report import COUNTED
from clvsync.value.policies import freeze, values
from connectors.google import facts as google
from connectors.meta import facts as meta
from connectors.types import Reason
from tests.sample_shop import NOW, small_shop
from tests.unit.clvsync.clv.summaries import summary

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLE = ROOT / "docs" / "clvsync.example.yaml"
ENVIRONMENT = ROOT / ".env.example"


def page(name: str) -> str:
    """A page on one line for each paragraph, so that a sentence is found wherever it wraps."""
    return re.sub(r"(?<!\n)\n(?!\n|[|#\-\s])", " ", (ROOT / name).read_text(encoding="utf-8"))


# --- The example configuration ---------------------------------------------------------------------------


def example(folder: Path, text: str, **environment: str) -> Config:
    path = folder / "clvsync.yaml"
    path.write_text(text, encoding="utf-8")
    made_up = dict.fromkeys(dotenv_values(ENVIRONMENT), "made-up") | {
        "WAREHOUSE_URL": "duckdb:///shop.duckdb"
    }
    return load(path, {**made_up, **environment})


def uncommented(*beginnings: str, instead_of: str = "") -> str:
    """The example with the commented lines that begin so taken in, in place of those that match."""
    lines = []
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if instead_of and re.match(rf"\s+(?:{instead_of}):", line):
            continue
        lines.append(re.sub(rf"^(\s*)# ((?:{'|'.join(beginnings)}):)", r"\1\2", line) if beginnings else line)
    return "\n".join(lines)


def test_the_example_configuration_is_one(tmp_path: Path) -> None:
    config = example(tmp_path, EXAMPLE.read_text(encoding="utf-8"))
    assert {sync.to for sync in config.syncs} == {"google.conversions", "meta.events", "meta.audience"}
    for sync in config.syncs:
        open_destination(config, sync).close()


@pytest.mark.parametrize(
    ("beginnings", "instead_of"),
    [
        (("client_id", "client_secret", "refresh_token"), "service_account_file"),
        (("login_customer_id",), ""),
        (("US",), ""),
        (("where",), ""),
        (("consent",), "consent_ad_user_data|consent_ad_personalization"),
        (("url",), r"url: sqlite"),
    ],
)
def test_each_alternative_that_it_offers_can_be_taken(
    beginnings: tuple[str, ...], instead_of: str, tmp_path: Path
) -> None:
    text = uncommented(*beginnings, instead_of=instead_of.removesuffix(": sqlite"))
    if instead_of.startswith("url"):
        # Both `url` keys go with the first; the warehouse's comes back.
        text = text.replace("  memory: 2GB", '  url: "${WAREHOUSE_URL}"\n  memory: 2GB')
    plain = EXAMPLE.read_text(encoding="utf-8")
    assert text != plain
    address = "postgresql://user:word@db.example.com/state"
    config = example(tmp_path, text, STATE_URL=address)
    assert config != example(tmp_path, plain, STATE_URL=address)


def test_its_tables_can_be_mapped_on_a_shop(tmp_path: Path) -> None:
    small_shop(tmp_path, customers=500)
    config = example(tmp_path, EXAMPLE.read_text(encoding="utf-8"))
    source = open_source(config)
    query = order_summary(mapped(source, config.tables, config.business), config.clv, NOW)
    with source.stream(query) as batches:
        customers = sum(batch.num_rows for batch in batches)
    assert customers > 300
    source.close()


def test_the_variables_in_env_example_are_those_that_are_used() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)\}", EXAMPLE.read_text(encoding="utf-8")))
    assert set(dotenv_values(ENVIRONMENT)) == used | {STATE_KEY_VARIABLE}


def test_a_key_that_was_not_filled_in_is_none(tmp_path: Path) -> None:
    config = example(tmp_path, EXAMPLE.read_text(encoding="utf-8"), **{STATE_KEY_VARIABLE: ""})
    assert config.state.key is None


# --- Commands and links ----------------------------------------------------------------------------------


@cache
def commands() -> Mapping[str, Any]:
    """Every command by its words, groups included."""
    found: dict[str, Any] = {}

    def walk(words: tuple[str, ...], command: Any) -> None:
        found[" ".join(words)] = command
        for name, inner in getattr(command, "commands", {}).items():
            walk((*words, name), inner)

    walk((), typer.main.get_command(app))
    return found


def leaves() -> list[str]:
    return [words for words, command in commands().items() if not hasattr(command, "commands")]


def options(command: Any) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts} | {"--help"}


def code(text: str) -> Iterator[str]:
    """Code in backticks and lines set in by four blanks."""
    yield from re.findall(r"`([^`\n]+)`", text)
    yield from re.findall(r"^ {4,}(\S.*)$", text, flags=re.MULTILINE)


def invocations(text: str) -> Iterator[str]:
    for piece in code(text):
        if found := re.search(r"(?:^|[\s/=])clvsync ([a-z-].*)$", piece):
            yield found[1]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_and_option_that_a_page_names_exists(path: Path) -> None:
    for invocation in invocations(path.read_text(encoding="utf-8")):
        words = shlex.split(invocation.replace("[", " ").replace("]", " ").replace("…", " "))
        name, rest = "", words
        while rest and f"{name} {rest[0]}".strip() in commands():
            name, rest = f"{name} {rest[0]}".strip(), rest[1:]
        assert name, f"{path.name}: there is no command `clvsync {invocation}`"
        known = options(commands()[name])
        for word in rest:
            assert not word.startswith("-") or word in known, f"{path.name}: `clvsync {name}` has no {word}"


def test_every_option_that_stands_alone_exists() -> None:
    known = set().union(*map(options, commands().values()))
    for path in PAGES:
        for piece in code(path.read_text(encoding="utf-8")):
            if re.fullmatch(r"--[a-z-]+", piece):
                assert piece in known, f"{path.name}: no command has {piece}"


def test_the_readme_has_every_command() -> None:
    rows = "\n".join(re.findall(r"^\| `clvsync .*$", page("README.md"), flags=re.MULTILINE))
    named = {
        next(
            words
            for words in sorted(leaves(), key=len, reverse=True)
            if f"{invocation} ".startswith(f"{words} ")
        )
        for invocation in invocations(rows)
    }
    assert named == set(leaves())


def test_the_readme_says_which_commands_lack_an_option() -> None:
    lacking = {
        option: {name for name in leaves() if option not in options(commands()[name])}
        for option in ("--config", "--json")
    }
    assert lacking == {"--config": {"sandbox", "demo", "schema"}, "--json": {"serve", "schema"}}
    assert "All but `schema`, `sandbox` and `demo` take `--config`" in page("README.md")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target.partition("#")[0]).exists(), f"{path.name}: {target}"


# --- Reasons, limits, exit codes ---------------------------------------------------------------------------


def test_every_reason_is_explained() -> None:
    pages = page("docs/google.md") + page("docs/meta.md")
    for reason in (*Reason, *Remark, *Doubt):
        if reason is not Remark.NOT_SETTLED:  # of audiences alone, for as long as nothing is settled
            assert f"`{reason}`" in pages, reason


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("docs/google.md", f"{google.EVENTS_PER_REQUEST:,} conversions a request"),
        ("docs/google.md", f"{google.REQUESTS_PER_MINUTE} requests a minute"),
        ("docs/google.md", f"{google.REQUESTS_PER_DAY:,} a day"),
        ("docs/google.md", f"{google.FIRST_STATUS_POLL // timedelta(minutes=1)} minutes after sending"),
        ("docs/google.md", f"| at most {google.UPLOAD_WINDOW.days} days |"),
        ("docs/google.md", f"not before {google.TAG_CONVERSION_WAIT // timedelta(hours=1)} hours after"),
        ("docs/google.md", f"`{google.OFFLINE_ACTION_TYPE}`"),
        *(("docs/google.md", f"`{scope}`") for scope in google.SCOPES),
        ("docs/meta.md", f"{meta.EVENTS_PER_REQUEST:,} events a request"),
        ("docs/meta.md", f"at most {meta.EVENT_WINDOW.days} days; {meta.PHYSICAL_STORE_WINDOW.days} with"),
        ("docs/meta.md", f"{meta.DEDUPLICATION_WINDOW // timedelta(hours=1)} hours, by `event_id`"),
        ("docs/meta.md", f"Meta keeps the key for {meta.EXTERNAL_ID_KEPT.days} days"),
        ("docs/meta.md", meta.AUDIENCE_TERMS_URL),
        ("docs/meta.md", meta.VALUE_AUDIENCE_TERMS_URL),
    ],
)
def test_limits_are_those_of_the_facts(name: str, sentence: str) -> None:
    assert sentence in page(name)


def test_every_exit_code_and_count_is_explained() -> None:
    text = page("docs/operations.md")
    for code_ in ExitCode:
        assert re.search(rf"^\| {code_:d} \|", text, flags=re.MULTILINE), code_
    for name in COUNTED:
        assert f"`{name}`" in text, name


def test_the_accounts_for_the_sandbox_can_be_read() -> None:
    block = re.search(r"^    accounts:\n(?:^     .*\n)+", page("docs/operations.md"), flags=re.MULTILINE)
    assert block
    accounts = Accounts.model_validate(yaml.safe_load(block[0])["accounts"])
    assert accounts.google
    assert accounts.meta


# --- docs/clv.md: its figures, computed again ------------------------------------------------------------

TERMS = Terms(timedelta(days=365), 0.4, 0.10, datetime(2026, 7, 1, 12, tzinfo=UTC), "UTC")
REPEAT = FittedRepeatPurchases(TERMS, BgNbd(0.243, 4.414, 0.793, 2.426), GammaGamma(6.25, 3.74, 15.44), 0.95)


def rows_of(first_header: str) -> list[dict[str, str]]:
    """The table of docs/clv.md whose first column is headed so."""
    lines = page("docs/clv.md").splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith(f"| {first_header} |"))
    table = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return [dict(zip(table[0], row, strict=True)) for row in table[2:]]


def scored(rows: Sequence[Mapping[str, float]], model: Any) -> list[dict[str, Any]]:
    today = TERMS.as_of.date()
    given = summary(
        first_day=[today - timedelta(days=int(row["age"])) for row in rows],
        last_day=[today - timedelta(days=int(row["age"] - row["last"])) for row in rows],
        repeat_days=[int(row["repeats"]) for row in rows],
        mean_repeat_value=[row["mean"] for row in rows],
        realised_value=[row["realised"] for row in rows],
        first_order_value=[50.0] * len(rows),
        channel=["search"] * len(rows),
    )
    found: list[dict[str, Any]] = model.score(given, TERMS.as_of).to_pylist()
    return found


def test_the_page_states_the_terms_and_parameters_of_its_example() -> None:
    text = page("docs/clv.md")
    spend, purchases = REPEAT.spend, REPEAT.purchases
    assert f"r {purchases.r}, α {purchases.alpha}, a {purchases.a}, b {purchases.b}" in text
    assert f"p {spend.p}, q {spend.q}, v {spend.v}" in text
    assert "Horizon 365 days, margin 40 %, discount rate 10 %, share kept 0.95" in text


def test_customers_who_came_back_are_worth_what_the_page_says() -> None:
    told = rows_of("customer")
    given = [
        {
            "repeats": float(row["further purchase days"]),
            "last": float(row["last of them, days after the first"]),
            "age": float(row["days since the first"]),
            "mean": float(row["mean of them"]),
            "realised": float(row["realised"]),
        }
        for row in told
    ]
    assert len(told) == 3
    for row, facts, score in zip(told, given, scored(given, REPEAT), strict=True):
        purchase = REPEAT.spend.expected_value(np.array([facts["repeats"]]), np.array([facts["mean"]]))
        assert row["alive"] == f"{score['probability_alive'] * 100:.0f} %"
        assert row["value of a purchase"] == f"{purchase[0]:.2f}"
        assert row["total CLV"] == f"{score['total_clv']:.2f}"
        assert row["residual CLV"] == f"{score['residual_clv']:.2f}"


def test_new_customers_are_worth_what_the_page_says() -> None:
    factors = {"value_band": Factor({"1": 0.9}, 500.0), "channel": Factor({"search": 1.1}, 500.0)}
    model = FittedFirstOrder(TERMS, 24.0, (30.0, 60.0), factors, REPEAT)
    told = rows_of("days since the first order")
    given = [
        {
            "repeats": 0.0,
            "last": 0.0,
            "mean": 0.0,
            "age": float(row["days since the first order"]),
            "realised": float(row["realised"]),
        }
        for row in told
    ]
    assert len(told) == 4
    for row, score in zip(told, scored(given, model), strict=True):
        assert row["still expected"] == f"{score['total_clv'] - score['realised_value']:.2f}"
        assert row["total CLV"] == f"{score['total_clv']:.2f}"


def test_policies_make_of_clv_what_the_page_says() -> None:
    told = rows_of("first order")
    worth, orders = (np.array([float(row[name]) for row in told]) for name in ("CLV", "first order"))
    policies = {
        "`clv`": ValuePolicy(),
        "`scaled`": ValuePolicy(policy="scaled"),
        "`scaled`, `cap: p90`": ValuePolicy.model_validate({"policy": "scaled", "cap": "p90"}),
        "`clv`, `floor: 25`": ValuePolicy(floor=Decimal(25)),
    }
    assert set(told[0]) == {"first order", "CLV", *policies}
    for name, policy in policies.items():
        sent = values(policy, freeze(policy, worth, orders), worth, "EUR")
        assert [row[name] for row in told] == [f"{value:.2f}" for value in sent.to_pylist()]


def test_another_way_to_write_the_factor_is_another_policy() -> None:
    first, second = (ValuePolicy.model_validate({"factor": factor}) for factor in ("1", "1.0"))
    assert first.model_dump(mode="json") != second.model_dump(mode="json")


# --- The picture -----------------------------------------------------------------------------------------


def test_the_picture_is_small_and_names_nothing_of_the_machine_it_was_made_on() -> None:
    picture = (ROOT / "docs" / "demo.svg").read_text(encoding="utf-8")
    assert len(picture.encode()) < 200_000
    assert "@font-face" not in picture
    assert not re.search(r"/(?:tmp|home|root|work|Users)\b|127\.0\.0\.1|localhost", picture)
