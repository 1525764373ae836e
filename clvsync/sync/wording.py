"""One customer's story in plain words: sentences from rows, scores, parameters, steps and entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from clvsync.config.sections import Clv
from clvsync.ledger import Entry, Model
from clvsync.sync.tracing import Trace, TracedStep

_SHOWN_ORDERS = 12


def amount(value: Any, currency: str) -> str:
    """ "1,234.50 EUR"."""
    return "no value" if value is None else f"{float(value):,.2f} {currency}".rstrip()


def history(summary: Mapping[str, Any], orders: Sequence[Mapping[str, Any]], currency: str) -> Iterator[str]:
    """The orders: in all, the one that won the customer, and each with what it counts."""
    yield (
        f"{_count(summary['orders'], 'order')} on {_count(summary['purchase_days'], 'day')}, "
        f"from {summary['first_day']} to {summary['last_day']}, "
        f"net revenue {amount(summary['revenue'], currency)}."
    )
    known = [
        f"{name} {summary[name]}"
        for name in ("channel", "country", "device", "campaign_id")
        if summary.get(name)
    ]
    yield (
        f"Acquired by order {summary['first_order_key']} of "
        f"{amount(summary['first_order_value'], currency)}" + (f" ({', '.join(known)})." if known else ".")
    )
    hidden = len(orders) - _SHOWN_ORDERS
    if hidden > 0:
        counted = sum(order["realised"] for order in orders[:hidden])
        yield f"{_count(hidden, 'earlier row')}: {amount(counted, currency)} realised."
    for order in orders[max(hidden, 0) :]:
        yield _order(order, currency)


def _order(order: Mapping[str, Any], currency: str) -> str:
    what = "order" if order["amount"] > 0 else "refund" if order["amount"] < 0 else "empty order"
    line = f"{order['day']} {what} {order['order']}: {amount(order['amount'], order['currency'] or '?')}"
    if order["value"] is None:
        return f"{line}, a currency without a rate, which adds nothing."
    if order["currency"] != currency:
        line += f" = {amount(order['value'], currency)}"
    if order["days_since_acquisition"] is None or order["days_since_acquisition"] < 0:
        return f"{line}, before the acquisition, which adds nothing."
    if not order["realised"]:
        return f"{line}, day {order['days_since_acquisition']}: adds nothing within the horizon."
    return f"{line}, day {order['days_since_acquisition']}: {amount(order['realised'], currency)} realised."


def lifetime_value(
    scores: Mapping[str, Any], orders: Sequence[Mapping[str, Any]], clv: Clv, currency: str
) -> Iterator[str]:
    """Realised and expected, and what they come to."""
    if scores["total_clv"] is None:
        yield "The model has none for this customer."
        return
    days = clv.horizon.days
    realised, total = scores["realised_value"], scores["total_clv"]
    yield (
        f"Realised so far {amount(realised, currency)}: the orders above × margin {clv.margin:.0%}, "
        f"discounted at {clv.discount_rate:.0%} a year to the acquisition"
        + (" (more was returned than kept)." if sum(order["realised"] for order in orders) < 0 else ".")
    )
    if scores["days_since_first_order"] > days:
        yield f"The {days} days after the acquisition are over: total CLV {amount(total, currency)}."
    else:
        yield (
            f"Still expected until day {days}: {amount(total - realised, currency)}. "
            f"Total CLV {amount(total, currency)}."
        )
    residual = amount(scores["residual_clv"], currency)
    yield f"Expected over the {days} days from now: residual CLV {residual}."
    if scores["expected_orders"] is not None:
        yield f"Days with an order expected over them: {scores['expected_orders']:.2f}."
    if scores["probability_alive"] is not None:
        yield f"Probability of buying again at all: {scores['probability_alive']:.0%}."


def model(kept: Model, basis: str, currency: str) -> Iterator[str]:
    """Which model speaks of the customer, what it learned from, and its parameters."""
    yield (
        f"{basis}, version {kept.version}, fitted on {kept.fitted_at:%Y-%m-%d} "
        f"on {kept.customers:,} customers with {kept.orders:,} orders."
    )
    part = next(
        (each for each in kept.parameters.values() if isinstance(each, dict) and each.get("model") == basis),
        {},
    )
    known = _PARAMETERS.get(basis)
    if known is not None:
        yield from known(part, currency)


def _bgnbd(part: Mapping[str, Any], currency: str) -> Iterator[str]:
    yield "It looks at how often, how lately and for how much the customer bought on days after the first."
    if pace := part.get("bgnbd"):
        r, alpha, a, b = (pace[name] for name in ("r", "alpha", "a", "b"))
        yield (
            f"Who is still there buys every {alpha / r:,.1f} weeks on average "
            f"(r {r:.4g}, alpha {alpha:.4g}); after a purchase "
            f"{a / (a + b):.0%} leave for good (a {a:.4g}, b {b:.4g})."
        )
    if spend := part.get("gamma_gamma"):
        p, q, v = (spend[name] for name in ("p", "q", "v"))
        mean = f"{amount(p * v / (q - 1), currency)} on average" if q > 1 else "of no stable average"
        yield (
            f"A purchase is {mean} (p {p:.4g}, q {q:.4g}, v {v:.4g}); the customer's own purchases count more"
            " the more there are."
        )
    if (share := part.get("share_kept")) is not None:
        yield f"Refunds take off {1 - share:.1%}."


def _first_order(part: Mapping[str, Any], currency: str) -> Iterator[str]:
    yield "It looks at what was known with the first order alone, by what came of earlier ones like it."
    if (base := part.get("base")) is not None:
        yield f"The average customer brings {amount(base, currency)} after the first day, as of that day."


def _column(part: Mapping[str, Any], currency: str) -> Iterator[str]:  # noqa: ARG001
    yield "The value is the source's own, in a column of the customers table."


_PARAMETERS = {"bgnbd": _bgnbd, "first_order": _first_order, "column": _column}


def steps(trace: Trace, worth: str, own: str) -> Iterator[str]:
    """The policy from `worth` (what it is called) to the value, one line for each step that did something.
    Amounts that are not rounded yet have four decimals, so that the steps can be checked by hand."""
    yield f"{worth} {_exact(trace.worth, own)}"
    before = trace.worth
    for step in trace.steps:
        if line := _step(step, before, trace, own):
            yield f"  {line}"
        before = step.amount


def _step(step: TracedStep, before: float | None, trace: Trace, own: str) -> str:
    after = _exact(step.amount, own)
    match step.name:
        case "scale" | "factor":
            return f"× {step.name} {step.by:.8g} = {after}"
        case "tier":
            return f"its tier is worth {after}"
        case "stage" if trace.stage is None:
            return "it has no stage, and so no value"
        case "stage" if step.amount is None:
            return f"the policy does not name its stage, {trace.stage}"
        case "stage":
            return f"at stage {trace.stage}: {after}"
        case "cap" | "floor" if step.amount == before or step.amount is None:
            return ""
        case "cap":
            return f"at most the cap = {after}"
        case "floor":
            return f"at least the floor = {after}"
        case "currency":
            return f"÷ {step.by:.8g} = {_exact(step.amount, trace.currency)}"
        case _:
            return f"rounded to {amount(step.amount, trace.currency)}"


def _exact(value: float | None, currency: str) -> str:
    return "unknown" if value is None else f"{value:,.4f} {currency}"


def sent(entry: Entry) -> Iterator[str]:
    """What the ledger has of a row."""
    when = f"sent on {entry.last_sent_at:%Y-%m-%d %H:%M} UTC" if entry.last_sent_at else "never sent"
    by = f", model {entry.model_version}" if entry.model_version else ""
    value = amount(entry.value, entry.currency or "")
    yield f"Ledger: {entry.state}; {entry.event_id} at {value}, {when}{by}."
    if entry.accepted_value is not None and entry.accepted_value != entry.value:
        yield f"The platform has {amount(entry.accepted_value, entry.accepted_currency or '')}."
    if entry.reason or entry.words:
        yield f"Because: {entry.reason or ''} {entry.words or ''}".rstrip()


def moved(value: Decimal | None, entry: Entry) -> str:
    """How far today's value is from the one in the ledger."""
    if value is None or entry.value is None or value == entry.value or not entry.value:
        return ""
    return f"That is {float(value / entry.value) - 1:+.1%} from what was sent."


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
