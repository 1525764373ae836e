"""The life of the model that scores: whether it may be sent with, a person's word for it, and going back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clvsync.config.sections import ConversionsSync, Sync
from clvsync.ledger import Model
from clvsync.sync.opened import Opened
from connectors.errors import FixConfiguration
from connectors.types import Finding, Severity

if TYPE_CHECKING:
    from clvsync.clv.champion import Verdict
    from clvsync.clv.scoring import Scorer
    from clvsync.config.sections import Clv, Config

NAME = "clv"
"""The scoring model's name in the ledger."""

HELD_BY_MODEL = "held_by_model"
"""The reason of rows that a model's verdict holds."""


@dataclass(frozen=True, slots=True)
class Version:
    """A fitted version as a person sees it. `failed`: why it may not be sent with; `warned`: what is worth
    knowing; `metrics`: the configured models' figures on the past, by group."""

    version: str
    fitted_at: datetime
    scores: bool
    customers: int
    orders: int
    data_from: datetime | None
    data_until: datetime | None
    mean_score: float | None
    metrics: Mapping[str, Mapping[str, Any]]
    failed: tuple[str, ...]
    warned: tuple[str, ...]
    accepted_at: datetime | None
    accepted_because: str | None

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def verdict_on(model: Model, clv: Clv) -> Verdict:
    """Whether a kept model may be sent with, by what the configuration asks for today.

    It may not where it failed its trial on the past, or jumped: moved further from the version before it than
    `clv.jump` lets it. In both cases the syncs that send lifetime value are held, and the version before does
    not go on in its place. That would look safer and is not: a jump comes from the orders more often than
    from the customers (loaded twice, a currency mixed up, refunds gone), and the old parameters would score
    the same orders; and a failed trial says that the way of modelling no longer fits the present, which the
    older parameters know even less of. A held run costs hours that a person can see; a wrong value is bid on.
    Either way out is one command, and a model whose trial was impossible (too short a history) is not held.
    """
    from clvsync.clv.champion import Standings, Verdict, judge
    from clvsync.clv.jump import Reading, jumps

    metrics = model.metrics
    failed: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    if (kept := metrics.get("validation")) is not None:
        tried = judge(Standings.from_json(kept), float(clv.validation.max_bias))
        failed, warned = tried.failed, tried.warned
    else:
        why = metrics.get("unvalidated", "it was fitted before there was a validation")
        warned = (f"It was not tried on the past: {why}.",)
    if (before := metrics.get("before")) is not None:
        failed += jumps(
            Reading.from_json(before),
            Reading.from_json(metrics["reading"]),
            mean_score=float(clv.jump.mean_score),
            parameters=float(clv.jump.parameters),
        )
    if failed and model.accepted_at is not None:
        because = f"Accepted on {model.accepted_at:%Y-%m-%d}: {model.accepted_because}"
        return Verdict((), (because, *failed, *warned))
    if failed and clv.accept_unvalidated:
        return Verdict((), ("Sent with all the same (clv.accept_unvalidated).", *failed, *warned))
    return Verdict(failed, warned)


def why_held(business: Opened, sync: Sync) -> str:
    """Why nothing of a sync may be sent, and what to do; "" where it may: a model that failed holds what
    rests on it, and the margins of single orders and a list of plainly everyone do not."""
    model = business.ledger.current_model(NAME)
    if model is None or not _rests_on_clv(sync):
        return ""
    failed = verdict_on(model, business.config.clv).failed
    if not failed:
        return ""
    return (
        f"Model {model.version} may not be sent with. {' '.join(failed)} Nothing was sent. "
        f'If it is right: clvsync clv accept {model.version} --because "…". If not: correct the orders and '
        "clvsync clv fit, or go back with clvsync clv rollback. clvsync clv validate shows the trial."
    )


def findings_on(business: Opened) -> Iterator[Finding]:
    """What `clvsync check` has to say of the version that scores, whether it rests on a trial or not."""
    model, clv = business.ledger.current_model(NAME), business.config.clv
    if model is None:
        return
    verdict = verdict_on(model, clv)
    accept_it = (
        f'If it is right: clvsync clv accept {model.version} --because "…"; else clvsync clv rollback.'
    )
    for found in verdict.failed:
        yield Finding(Severity.ERROR, "model", found.rstrip("."), accept_it)
    look = "clvsync clv validate shows the trial."
    if "validation" not in model.metrics:
        look = "Look at clvsync preview with care; the next fit tries again."
    for found in verdict.warned:
        yield Finding(Severity.WARNING, "model", found.rstrip("."), look)


def _rests_on_clv(sync: Sync) -> bool:
    if isinstance(sync, ConversionsSync):
        return sync.carries == "acquisition"
    return sync.value_based or sync.where is not None


def versions(business: Opened, limit: int) -> list[Version]:
    """Fitted versions, the newest first."""
    clv = business.config.clv
    return [_version(model, clv) for model in business.ledger.models(NAME, limit)]


def accept(business: Opened, version: str, because: str) -> Version:
    """A person's word that a version may be sent with, whatever its trial said; it scores from now on.

    Raises FixConfiguration without a reason, for an unknown version, or for one of other terms.
    """
    if not because.strip():
        raise FixConfiguration(f"model {version}", "no reason was given", "Say why with --because.")
    _find(business, version)
    business.ledger.score_with(NAME, version, business.clock(), because.strip())
    return _version(_find(business, version), business.config.clv)


def rollback(business: Opened, version: str | None = None) -> Version:
    """Let an earlier version score again; without `version` the one fitted before the one that scores.

    It stays until a person fits anew or accepts a version: a schedule does not undo what a person chose.
    Raises FixConfiguration where there is none of the configured terms.
    """
    if version is None:
        version = _before_current(business)
    _find(business, version)
    business.ledger.score_with(NAME, version, business.clock())
    return _version(_find(business, version), business.config.clv)


def refuse_release(business: Opened, run_id: str) -> None:
    """Raises FixConfiguration for a run that was held because of the model: releasing passes brakes alone."""
    for run in business.ledger.runs(1_000):
        if run.id == run_id and HELD_BY_MODEL in run.reasons:
            raise FixConfiguration(
                f"Run {run_id}",
                "it was held because of the model behind its values, which releasing does not change",
                "Accept the version with clvsync clv accept, or go back with clvsync clv rollback.",
            )


def serves(kept: Model, config: Config) -> Scorer | None:
    """The kept model, if it was fitted for the terms and of the kind that the configuration now says."""
    from clvsync.clv.model import Terms
    from clvsync.clv.scoring import Scorer

    fitted = Scorer.from_json(kept.parameters)
    now = Terms.of(config.clv, config.business.timezone, fitted.terms.as_of)
    kinds = (fitted.acquisition.name, fitted.existing.name)
    wanted = (config.clv.acquisition, config.clv.existing)
    return fitted if fitted.terms == now and kinds == wanted else None


def last_sendable(business: Opened, *, other_than: str) -> Model | None:
    """The version that was sent with last, of the configured terms: a new one is compared with it, so that
    what was held for jumping does not become what the next is measured by."""
    kept = business.ledger.models(NAME)
    for model in sorted(kept, key=lambda each: not each.current):
        if model.version == other_than or verdict_on(model, business.config.clv).failed:
            continue
        if serves(model, business.config) is not None:
            return model
    return None


def _before_current(business: Opened) -> str:
    kept = business.ledger.models(NAME, limit=1_000)
    places = [place for place, model in enumerate(kept) if model.current]
    earlier = kept[places[0] + 1 :] if places else []
    for model in earlier:
        if serves(model, business.config) is not None:
            return model.version
    raise FixConfiguration(
        "model",
        "no earlier version was fitted for the horizon, margin, discount rate and models configured now",
        "Fit one with clvsync clv fit.",
    )


def _find(business: Opened, version: str) -> Model:
    for model in business.ledger.models(NAME, limit=1_000):
        if model.version == version:
            if serves(model, business.config) is None:
                raise FixConfiguration(
                    f"model {version}",
                    "it was fitted for another horizon, margin or discount rate, or is of another kind",
                    "Take one that fits the configuration, or fit one with clvsync clv fit.",
                )
            return model
    raise FixConfiguration(
        f"model {version}", "the ledger has no such version", "clvsync clv models lists them."
    )


def _version(model: Model, clv: Clv) -> Version:
    verdict = verdict_on(model, clv)
    validation = model.metrics.get("validation")
    metrics: dict[str, Any] = {}
    if validation is not None:
        metrics = {
            group: {
                name: value for name, value in tried[validation["configured"]].items() if name != "tenths"
            }
            for group, tried in validation["groups"].items()
        }
    return Version(
        version=model.version,
        fitted_at=model.fitted_at,
        scores=model.current,
        customers=model.customers,
        orders=model.orders,
        data_from=model.data_from,
        data_until=model.data_until,
        mean_score=model.metrics.get("reading", {}).get("mean_score"),
        metrics=metrics,
        failed=verdict.failed,
        warned=verdict.warned,
        accepted_at=model.accepted_at,
        accepted_because=model.accepted_because,
    )
