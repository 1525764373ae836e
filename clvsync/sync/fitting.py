"""Fitting the models that score, and keeping them in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from clvsync.ledger import Model
from clvsync.sync import scoring
from clvsync.sync.models import NAME, last_sendable, serves, verdict_on
from clvsync.sync.passes import Pass
from clvsync.sync.triggers import missed, trigger
from clvsync.sync.validating import NotValidated, validate
from connectors.types import Table

if TYPE_CHECKING:
    from clvsync.clv.scoring import Scorer

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a fit has learned. `changed` is False where it is the model that scored already. `failed`: why it
    may not be sent with; `warned`: what is worth knowing."""

    version: str
    customers: int
    orders: int
    parameters: dict[str, Any]
    changed: bool
    failed: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "customers": self.customers,
            "orders": self.orders,
            "parameters": self.parameters,
            "changed": self.changed,
            "failed": list(self.failed),
            "warned": list(self.warned),
        }


def scored(one_pass: Pass) -> Scorer:
    """The model that scores; the workspace has the tables `summary` and `scores` from then on.

    It is the ledger's, if it is of the configured kind and terms and no fit of the configuration's `refit`
    has come due since the last; otherwise one fitted now on the workspace's `summary`.
    """
    if one_pass.scorer is None:
        scoring.summarise(one_pass)
        model = _kept(one_pass)
        if model is None:
            model, _ = _fit(one_pass)
        else:
            scoring.score(one_pass, model)
        one_pass.scorer = model
    return one_pass.scorer


def fit(one_pass: Pass) -> FitReport:
    """Fit on the orders up to now; the result scores from the next run on."""
    scoring.summarise(one_pass)
    before = one_pass.business.ledger.current_model(NAME)
    fitted, kept = _fit(one_pass)
    verdict = verdict_on(kept, one_pass.business.config.clv)
    return FitReport(
        fitted.version,
        kept.customers,
        kept.orders,
        _readable(fitted.to_json()),
        changed=before is None or before.version != fitted.version,
        failed=verdict.failed,
        warned=verdict.warned,
    )


def _kept(one_pass: Pass) -> Scorer | None:
    """The ledger's model, where none has to be fitted."""
    business = one_pass.business
    kept = business.ledger.current_model(NAME)
    if kept is None:
        return None
    fitted = serves(kept, business.config)
    newest = business.ledger.models(NAME, limit=1)[0]
    # A person went back to an earlier version: that is not for the schedule to undo.
    chosen = newest.version != kept.version
    return fitted if chosen or not _due(one_pass, newest.fitted_at) else None


def _due(one_pass: Pass, last_fit: datetime) -> bool:
    config, now = one_pass.business.config, one_pass.now
    due = trigger(config.clv.refit, config.business.timezone, last_fit, now)
    return missed(due, last_fit, now)


def _fit(one_pass: Pass) -> tuple[Scorer, Model]:
    """Fit, score, try on the past, and keep with what that showed. The workspace has `scores` afterwards."""
    from clvsync.clv.model import Terms
    from clvsync.clv.scoring import fit as fit_models

    business, now = one_pass.business, one_pass.now
    config, ledger = business.config, business.ledger
    terms = Terms.of(config.clv, config.business.timezone, now)
    summary: Table = one_pass.workspace.execute("SELECT * FROM summary").to_arrow_table()
    fitted = fit_models(config.clv, summary, terms)
    del summary
    scoring.score(one_pass, fitted)
    customers, orders, first, last = one_pass.workspace.execute(
        """
        SELECT count(*), coalesce(sum(orders), 0)::BIGINT, epoch_us(min(first_order_at)),
            epoch_us(max(last_order_at)) FROM summary
        """
    ).fetchone()
    kept = Model(
        NAME,
        fitted.version,
        now,
        fitted.to_json(),
        metrics=_metrics(one_pass, fitted),
        data_from=_instant(first),
        data_until=_instant(last),
        customers=customers,
        orders=orders,
    )
    ledger.save_model(kept)
    return fitted, ledger.current_model(NAME) or kept


def _metrics(one_pass: Pass, fitted: Scorer) -> dict[str, Any]:
    """What is kept of a fit beside its parameters: its trial on the past or why there was none, what it says
    in numbers, and what the last version that could be sent with said."""
    from clvsync.clv.jump import Reading, parameters_of

    business = one_pass.business
    found: dict[str, Any] = {}
    try:
        found["validation"] = validate(one_pass).to_json()
    except NotValidated as error:
        found["unvalidated"] = error.problem
    mean = one_pass.workspace.execute("SELECT avg(total_clv) FROM scores").fetchone()[0]
    found["reading"] = Reading(fitted.version, mean, parameters_of(fitted.to_json())).to_json()
    before = last_sendable(business, other_than=fitted.version)
    if before is not None and "reading" in before.metrics:
        found["before"] = before.metrics["reading"]
    return found


def _instant(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def _readable(kept: dict[str, Any]) -> dict[str, Any]:
    """Parameters by dotted name: each model's own, once, rounded; without terms and tables of levels."""
    out: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                if name not in ("terms", "levels", "repeat", "model"):
                    walk(f"{prefix}.{name}" if prefix else str(name), inner)
        elif isinstance(value, float):
            out[prefix] = round(value, 4)
        elif isinstance(value, str | int) or value is None:
            out[prefix] = value

    for role in ("acquisition", "existing"):
        walk(str(kept[role]["model"]), kept[role])
    return out
