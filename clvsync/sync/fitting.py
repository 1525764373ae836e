"""Fitting the models that score, and keeping them in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clvsync.ledger import Model
from clvsync.sync import scoring
from clvsync.sync.passes import Pass
from connectors.types import Table

if TYPE_CHECKING:
    from clvsync.clv.scoring import Scorer

NAME = "clv"
"""The scoring model's name in the ledger."""


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a fit has learned. `changed` is False where it is the model that scored already."""

    version: str
    customers: int
    orders: int
    parameters: dict[str, Any]
    changed: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "customers": self.customers,
            "orders": self.orders,
            "parameters": self.parameters,
            "changed": self.changed,
        }


def scored(one_pass: Pass) -> Scorer:
    """The model that scores; the workspace has the tables `summary` and `scores` from then on."""
    if one_pass.scorer is None:
        scoring.summarise(one_pass)
        model = current_model(one_pass)
        scoring.score(one_pass, model)
        one_pass.scorer = model
    return one_pass.scorer


def fit(one_pass: Pass) -> FitReport:
    """Fit on the orders up to now; the result scores from the next run on."""
    scoring.summarise(one_pass)
    before = one_pass.business.ledger.current_model(NAME)
    fitted, kept = _fit(one_pass)
    return FitReport(
        fitted.version,
        kept.customers,
        kept.orders,
        _readable(fitted.to_json()),
        changed=before is None or before.version != fitted.version,
    )


def current_model(one_pass: Pass) -> Scorer:
    """The model that scores: the ledger's, if it is of the configured kind and terms and not older than the
    configuration's `refit`; otherwise one fitted now on the workspace's `summary`."""
    from clvsync.clv.scoring import Scorer

    config = one_pass.business.config
    kept = one_pass.business.ledger.current_model(NAME)
    if kept is not None:
        fitted = Scorer.from_json(kept.parameters)
        due = config.clv.refit.every is not None and one_pass.now - kept.fitted_at >= config.clv.refit.every
        if not due and _serves(fitted, one_pass):
            return fitted
    return _fit(one_pass)[0]


def _serves(fitted: Scorer, one_pass: Pass) -> bool:
    """Whether a kept model was fitted for what the configuration now says."""
    from clvsync.clv.model import Terms

    config = one_pass.business.config
    now = Terms.of(config.clv, config.business.timezone, fitted.terms.as_of)
    kinds = (fitted.acquisition.name, fitted.existing.name)
    return fitted.terms == now and kinds == (config.clv.acquisition, config.clv.existing)


def _fit(one_pass: Pass) -> tuple[Scorer, Model]:
    from clvsync.clv.model import Terms
    from clvsync.clv.scoring import fit as fit_models

    config, now = one_pass.business.config, one_pass.now
    terms = Terms.of(config.clv, config.business.timezone, now)
    summary: Table = one_pass.workspace.execute("SELECT * FROM summary").to_arrow_table()
    fitted = fit_models(config.clv, summary, terms)
    customers, orders = one_pass.workspace.execute(
        "SELECT count(*), coalesce(sum(orders), 0)::BIGINT FROM summary"
    ).fetchone()
    kept = Model(
        NAME,
        fitted.version,
        now,
        fitted.to_json(),
        data_until=now,
        customers=customers,
        orders=orders,
    )
    one_pass.business.ledger.save_model(kept)
    return fitted, kept


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
