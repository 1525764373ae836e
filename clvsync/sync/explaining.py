"""One customer, told: history → lifetime value → segments → value, step by step → what was sent.

Only this customer's rows are asked of the source. What was sent is worked out again as of the moment it was,
by the model version that made it, so that the steps add up to what the ledger says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from clvsync.config.sections import ConversionsSync, Sync
from clvsync.connections import open_destination
from clvsync.customers.expressions import column, text
from clvsync.customers.mapping import Mapped, mapped
from clvsync.ledger import Entry, EntryState, Model
from clvsync.plan import remedy_of
from clvsync.sync import wording
from clvsync.sync.frozen import NotFrozen, constants_at
from clvsync.sync.models import NAME
from clvsync.sync.opened import Opened
from clvsync.sync.passes import Pass, silent
from clvsync.sync.segmenting import members_of
from clvsync.sync.tracing import Trace, orders_of, score_alone, trace
from connectors.errors import ConnectorError, FixConfiguration

if TYPE_CHECKING:
    from clvsync.clv.scoring import Scorer

_MODELS = 10_000
"""Versions looked through for the one that made a value: all of them."""


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


@dataclass(frozen=True, slots=True)
class _Past:
    """What the ledger has of a row, worked out again; `why_not` where that cannot be."""

    entry: Entry
    trace: Trace | None
    why_not: str = ""

    @property
    def adds_up(self) -> bool:
        return self.trace is not None and self.trace.value == self.entry.value

    def to_json(self) -> dict[str, Any]:
        return {
            **_entry_facts(self.entry),
            "worked_out": self.trace.to_json() if self.trace else None,
            "adds_up": self.adds_up,
            "why_not": self.why_not,
        }


def explain_key(business: Opened, key: str) -> Story:
    """Tell of the customer with this key, or of the one who placed the order with this key.

    Raises FixConfiguration where neither the orders nor the ledger know it.
    """
    from clvsync.clv.model import Terms

    config = business.config
    tables = mapped(business.source, config.tables, config.business)
    customer = _customer_of(business, tables, key) or key
    with Pass.open(business, silent, customer=customer, tables=tables) as one_pass:
        orders = orders_of(one_pass, Terms.of(config.clv, config.business.timezone, one_pass.now))
        keys = {customer, key, *(order["order"] for order in orders)}
        entries = [entry for each in sorted(keys) for entry in business.ledger.entry(each)]
        if not orders and not entries:
            raise FixConfiguration(
                f"key {key}",
                "neither the orders nor the ledger know it",
                "Give a customer's or an order's key as the warehouse has it.",
            )
        past = list(_worked_out(business, tables, customer, entries))
        facts: dict[str, Any] = {"orders": orders, "ledger": [each.to_json() for each in past], "now": {}}
        chapters = list(_known(one_pass, orders, facts))
        for sync in config.syncs:
            of_sync = [each for each in past if each.entry.sync == sync.name]
            lines = [*_now(one_pass, sync, of_sync, facts), *_then(business, sync, of_sync)]
            chapters.append(Chapter(f"Sync {sync.name}", lines))
        return Story(customer, chapters, facts)


def _customer_of(business: Opened, tables: Mapped, key: str) -> str | None:
    """The customer with this key, else the one behind the order with it; None where no order says either."""
    customer, order = column("customer_key"), column("order_key")
    is_customer = customer.copy().eq(text(key))
    query = (
        exp.select(customer)
        .distinct()
        .from_(tables.orders.subquery("placed"))
        .where(exp.or_(is_customer, order.eq(text(key))))
    )
    with business.source.stream(query) as batches:
        keys = batches.read_all()["customer_key"].to_pylist()
    return key if key in keys else next(iter(sorted(keys)), None)


def _known(one_pass: Pass, orders: Sequence[Mapping[str, Any]], facts: dict[str, Any]) -> Iterator[Chapter]:
    """The chapters about the customer; the pass has the tables that syncs need afterwards."""
    business, currency = one_pass.business, one_pass.business.config.business.currency
    kept = business.ledger.current_model(NAME)
    if kept is None:
        yield Chapter("Lifetime value", ["No model has been fitted yet: clvsync clv fit."])
        return
    summary, scores = score_alone(one_pass, _scorer(kept))
    if summary is None or scores is None:
        yield Chapter("History", ["No order that counts: none at all, or those of a test customer."])
        return
    facts |= {"summary": summary, "scores": scores, "model": kept.version, "model_fitted_at": kept.fitted_at}
    yield Chapter("History", list(wording.history(summary, orders, currency)))
    yield Chapter("Model", list(wording.model(kept, scores["basis"], currency)))
    clv = business.config.clv
    yield Chapter("Lifetime value", list(wording.lifetime_value(scores, orders, clv, currency)))
    try:
        inside = facts["segments"] = list(members_of(one_pass, summary["customer_key"]))
    except NotFrozen as error:
        yield Chapter("Segments", [str(error)])
    else:
        yield Chapter("Segments", [", ".join(inside) if inside else "None."])


def _scorer(kept: Model) -> Scorer:
    from clvsync.clv.scoring import Scorer

    return Scorer.from_json(kept.parameters)


def _now(one_pass: Pass, sync: Sync, past: Sequence[_Past], facts: dict[str, Any]) -> Iterator[str]:
    """What the next run would make of the customer's rows."""
    if one_pass.scorer is None:
        return
    try:
        found = _traces(one_pass, sync)
    except ConnectorError as error:
        yield str(error)
        return
    facts["now"][sync.name] = [each.to_json() for each in found]
    if not found:
        yield "Now: no row of this customer is in its scope (too long ago, or not chosen by `where`)."
    entries = {each.entry.key: each.entry for each in past}
    for each in found:
        what = f"order {each.event_id}" if isinstance(sync, ConversionsSync) else "member"
        if each.reason:
            yield f"Now: {what} may not go: {each.reason}. {remedy_of(each.reason)}"
            continue
        yield f"Now: {what} at {wording.amount(each.value, each.currency)}:"
        yield from _stepwise(one_pass.business, sync, each)
        if (entry := entries.get(each.key)) is not None and (line := wording.moved(each.value, entry)):
            yield line


def _then(business: Opened, sync: Sync, past: Sequence[_Past]) -> Iterator[str]:
    """What was sent, and how it came to that."""
    if not past:
        yield "Nothing has been sent."
    for each in past:
        yield from wording.sent(each.entry)
        if each.trace is None:
            yield f"  How it came to that cannot be told: {each.why_not}"
            continue
        yield f"It was worked out on {each.entry.updated_at:%Y-%m-%d %H:%M} UTC:"
        yield from _stepwise(business, sync, each.trace)
        if not each.adds_up:
            yield "  The ledger has another value: the source's rows of that time have changed since."


def _stepwise(business: Opened, sync: Sync, found: Trace) -> Iterator[str]:
    worth = "residual CLV"
    if isinstance(sync, ConversionsSync):
        worth = "total CLV" if sync.carries == "acquisition" else "the order's margin"
    for line in wording.steps(found, worth, business.config.business.currency):
        yield f"  {line}"


def _traces(one_pass: Pass, sync: Sync) -> list[Trace]:
    destination = open_destination(one_pass.business.config, sync)
    try:
        return trace(one_pass, sync, destination)
    finally:
        destination.close()


def _worked_out(business: Opened, tables: Mapped, customer: str, entries: Sequence[Entry]) -> Iterator[_Past]:
    """Each entry with its trace as of the moment its value was made, by the model version that made it."""
    syncs = {sync.name: sync for sync in business.config.syncs}
    models = {model.version: model for model in business.ledger.models(NAME, limit=_MODELS)}
    by_moment: dict[tuple[datetime, str | None], list[Entry]] = {}
    for entry in entries:
        if entry.state is EntryState.REMOVED:
            yield _Past(entry, None, "it was taken out, and nothing was worked out for that.")
        elif entry.sync not in syncs:
            yield _Past(entry, None, "the configuration has no such sync any more.")
        elif entry.model_version not in models:
            yield _Past(entry, None, f"model {entry.model_version} is not kept any more.")
        else:
            by_moment.setdefault((entry.updated_at, entry.model_version), []).append(entry)
    for (moment, version), some in by_moment.items():
        with Pass.open(business, silent, customer=customer, now=moment, tables=tables) as one_pass:
            score_alone(one_pass, _scorer(models[str(version)]))
            for entry in some:
                yield _again(one_pass, syncs[entry.sync], entry)


def _again(one_pass: Pass, sync: Sync, entry: Entry) -> _Past:
    kept = None
    if isinstance(sync, ConversionsSync):
        kept = constants_at(one_pass, sync, one_pass.now)
        if kept is None:
            return _Past(entry, None, "the sync's value policy has changed since.")
    destination = open_destination(one_pass.business.config, sync)
    try:
        found = trace(one_pass, sync, destination, kept, belongs=True)
    except ConnectorError as error:
        return _Past(entry, None, str(error))
    finally:
        destination.close()
    mine = next((each for each in found if each.key == entry.key), None)
    return _Past(entry, mine, "" if mine else "the source does not have the row any more.")


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
        "worked_out_at": entry.updated_at,
        "model_version": entry.model_version,
        "last_sent_at": entry.last_sent_at,
    }
