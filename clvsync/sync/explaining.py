"""One customer, told: history → lifetime value → value → what was sent → what the platform said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clvsync.config.sections import ConversionsSync, Sync
from clvsync.connections import open_destination
from clvsync.ledger import Entry
from clvsync.plan import remedy_of
from clvsync.sync import staging
from clvsync.sync.fitting import scored
from clvsync.sync.opened import Opened
from clvsync.sync.passes import Pass, silent
from clvsync.sync.streams import stream_of
from connectors.errors import ConnectorError, FixConfiguration


@dataclass(frozen=True, slots=True)
class Chapter:
    """A heading and its sentences."""

    title: str
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of one customer. `facts` are the same for programs."""

    customer: str
    chapters: Sequence[Chapter]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "customer": self.customer,
            "facts": dict(self.facts),
            "chapters": [{"title": chapter.title, "lines": list(chapter.lines)} for chapter in self.chapters],
        }


def explain_key(business: Opened, key: str) -> Story:
    """Tell of the customer with this key, or of the one who placed the order with this key.

    Raises FixConfiguration where neither the orders nor the ledger know it.
    """

    with Pass.open(business, silent) as one_pass:
        model = scored(one_pass)
        customer = _customer_of(one_pass, key)
        entries = [entry for each in {key, customer} for entry in business.ledger.entry(each)]
        summary = _row(one_pass, "summary", "customer_key", customer)
        if summary is None and not entries:
            raise FixConfiguration(
                f"key {key}",
                "neither the orders nor the ledger know it",
                "Give a customer's or an order's key as the warehouse has it.",
            )
        chapters: list[Chapter] = []
        facts: dict[str, Any] = {"ledger": [_entry_facts(entry) for entry in entries]}
        if summary is not None:
            scores = _row(one_pass, "scores", "customer_key", customer) or {}
            facts |= {"summary": summary, "scores": scores, "model": model.version}
            chapters.append(Chapter("History", list(_history(summary, business))))
            chapters.append(Chapter("Lifetime value", list(_worth(scores, model, business))))
        chapters += [
            Chapter(f"Sync {sync.name}", list(_sync(one_pass, sync, customer, entries)))
            for sync in business.config.syncs
        ]
        return Story(customer, chapters, facts)


def _customer_of(one_pass: Pass, key: str) -> str:
    """The customer behind an order's key; the key itself where there is no such order."""
    from clvsync.customers import events

    query = events.conversions(one_pass.mapped, "increment", one_pass.now, keys=[key])
    with one_pass.business.source.stream(query) as batches:
        for batch in batches:
            if batch.num_rows:
                customer: str = batch.column("customer_key")[0].as_py()
                return customer
    return key


def _row(one_pass: Pass, table: str, column: str, key: str) -> dict[str, Any] | None:
    found = one_pass.workspace.execute(f'SELECT * FROM {table} WHERE "{column}" = $key', {"key": key})
    rows: list[dict[str, Any]] = found.to_arrow_table().to_pylist()
    return rows[0] if rows else None


def _history(summary: Mapping[str, Any], business: Opened) -> Iterator[str]:
    currency = business.config.business.currency
    yield (
        f"{summary['orders']} orders on {summary['purchase_days']} days, from {summary['first_day']} "
        f"to {summary['last_day']}, net revenue {_amount(summary['revenue'], currency)}."
    )
    known = [
        f"{name} {summary[name]}" for name in ("channel", "country", "device", "campaign_id") if summary[name]
    ]
    yield (
        f"Acquired by order {summary['first_order_key']} of "
        f"{_amount(summary['first_order_value'], currency)}" + (f" ({', '.join(known)})." if known else ".")
    )


def _worth(scores: Mapping[str, Any], model: Any, business: Opened) -> Iterator[str]:
    clv, currency = business.config.clv, business.config.business.currency
    days = clv.horizon.days
    if not scores or scores["total_clv"] is None:
        yield "The model has none for this customer."
        return
    realised, total = scores["realised_value"], scores["total_clv"]
    yield (
        f"Realised so far {_amount(realised, currency)} (margin {clv.margin:.0%} of net revenue, "
        f"discounted at {clv.discount_rate:.0%} a year to the first order)."
    )
    if scores["days_since_first_order"] > days:
        yield f"The {days} days after the first order are over: total CLV {_amount(total, currency)}."
    else:
        yield (
            f"Still expected until {days} days after the first order "
            f"{_amount(total - realised, currency)}: total CLV {_amount(total, currency)}."
        )
    residual = _amount(scores["residual_clv"], currency)
    yield f"Expected over the {days} days from now: residual CLV {residual}."
    if scores["probability_alive"] is not None:
        yield f"Probability of buying again at all: {scores['probability_alive']:.0%}."
    yield f"Scored by {scores['basis']}, model version {model.version}."


def _sync(one_pass: Pass, sync: Sync, customer: str, entries: Sequence[Entry]) -> Iterator[str]:
    destination = open_destination(one_pass.business.config, sync)
    try:
        yield from _now(one_pass, sync, destination, customer)
    except ConnectorError as error:
        yield str(error)
    finally:
        destination.close()
    told = [entry for entry in entries if entry.sync == sync.name]
    if not told:
        yield "Nothing has been sent."
    for entry in told:
        yield from _told(entry)


def _now(one_pass: Pass, sync: Sync, destination: Any, customer: str) -> Iterator[str]:
    business, workspace = one_pass.business, one_pass.workspace
    stream = stream_of(one_pass, sync, destination)
    staging.read(workspace, business.source, stream.query(one_pass, in_clear=False, keys=None), one_pass.tell)
    valuer = stream.valuer(one_pass)
    workspace.execute(f'DELETE FROM staged WHERE "{stream.stage.owner}" <> $customer', {"customer": customer})
    staging.value(
        workspace,
        stream.stage,
        destination,
        valuer=valuer,
        currency=business.config.business.currency,
        salt=business.salt,
        now=one_pass.now,
        tell=one_pass.tell,
    )
    rows = (
        workspace.execute("SELECT event_id, value, currency, reason FROM rows").to_arrow_table().to_pylist()
    )
    if not rows:
        yield "Now: no row of this customer is in its scope (too long ago, or not chosen by `where`)."
    for row in rows:
        what = f"order {row['event_id']}" if isinstance(sync, ConversionsSync) else "member"
        value = _amount(row["value"], row["currency"])
        policy = f" by policy {sync.value.policy}" if isinstance(sync, ConversionsSync) else ""
        if row["reason"]:
            yield f"Now: {what} may not go: {row['reason']}. {remedy_of(row['reason'])}"
        else:
            yield f"Now: {what} is worth {value}{policy}."


def _told(entry: Entry) -> Iterator[str]:
    sent = f" on {entry.last_sent_at:%Y-%m-%d %H:%M} UTC" if entry.last_sent_at else ""
    yield (
        f"Ledger: {entry.state}; {_amount(entry.value, entry.currency or '')} sent as {entry.event_id}{sent}"
        + (f", model {entry.model_version}." if entry.model_version else ".")
    )
    if entry.accepted_value is not None:
        yield f"The platform has {_amount(entry.accepted_value, entry.accepted_currency or '')}."
    if entry.reason or entry.words:
        yield f"Because: {entry.reason or ''} {entry.words or ''}".rstrip()


def _entry_facts(entry: Entry) -> dict[str, Any]:
    return {
        "sync": entry.sync,
        "address": entry.address,
        "key": entry.key,
        "event_id": entry.event_id,
        "state": str(entry.state),
        "value": entry.value,
        "currency": entry.currency,
        "accepted_value": entry.accepted_value,
        "reason": entry.reason,
        "words": entry.words,
        "last_sent_at": entry.last_sent_at,
    }


def _amount(value: Any, currency: str) -> str:
    return "no value" if value is None else f"{float(value):,.2f} {currency}".rstrip()
