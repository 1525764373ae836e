"""Fitted models, things made at the platforms, and people who asked to be forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlalchemy import Row, delete, insert, select, update

from clvsync.ledger.records import Model, PlatformObject
from clvsync.ledger.schema import entries, forgotten, models, objects
from clvsync.ledger.store import Store
from connectors.errors import FixConfiguration
from connectors.types import Array


class Registry(Store):
    """What is kept once and not per run."""

    def save_model(self, model: Model, *, current: bool = True) -> None:
        """Keep a fitted model; a `current` one takes the place of the one that scored so far. What a person
        has said of the same version before stays."""
        values = {
            "name": model.name,
            "version": model.version,
            "fitted_at": model.fitted_at,
            "parameters": dict(model.parameters),
            "metrics": dict(model.metrics),
            "data_from": model.data_from,
            "data_until": model.data_until,
            "customers": model.customers,
            "orders": model.orders,
            "current": current,
        }
        this = (models.c.name == model.name, models.c.version == model.version)
        with self._write() as connection:
            if current:
                connection.execute(update(models).where(models.c.name == model.name).values(current=False))
            said = connection.execute(
                select(models.c.accepted_at, models.c.accepted_because).where(*this)
            ).one_or_none()
            connection.execute(delete(models).where(*this))
            connection.execute(insert(models).values(values | (said._asdict() if said else {})))

    def save_metrics(self, name: str, version: str, metrics: Mapping[str, Any]) -> None:
        """Replace what is known of a kept model's validation."""
        with self._write() as connection:
            connection.execute(
                update(models)
                .where(models.c.name == name, models.c.version == version)
                .values(metrics=dict(metrics))
            )

    def score_with(self, name: str, version: str, now: datetime, because: str | None = None) -> None:
        """Let a kept version be the one that scores; `because` records that a person has accepted it.

        Raises FixConfiguration where no such version is kept.
        """
        this = (models.c.name == name, models.c.version == version)
        said = {} if because is None else {"accepted_at": now, "accepted_because": because}
        with self._write() as connection:
            if connection.execute(select(models.c.version).where(*this)).one_or_none() is None:
                raise FixConfiguration(
                    f"model {version}", "the ledger has no such version", "`clvsync clv models` lists them."
                )
            connection.execute(update(models).where(models.c.name == name).values(current=False))
            connection.execute(update(models).where(*this).values(current=True, **said))

    def current_model(self, name: str) -> Model | None:
        """The model of this name that scores, if one was ever fitted."""
        with self._read() as connection:
            row = connection.execute(
                select(models).where(models.c.name == name, models.c.current)
            ).one_or_none()
        return _model(row) if row is not None else None

    def models(self, name: str | None = None, limit: int = 50) -> list[Model]:
        """Newest first."""
        statement = select(models).order_by(models.c.fitted_at.desc()).limit(limit)
        if name is not None:
            statement = statement.where(models.c.name == name)
        with self._read() as connection:
            return [_model(row) for row in connection.execute(statement)]

    def save_object(
        self,
        address: str,
        name: str,
        platform_id: str,
        now: datetime,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Remember what was made at a platform, or made again."""
        statement = self._upsert(objects).values(
            address=address,
            name=name,
            platform_id=platform_id,
            details=dict(details or {}),
            created_at=now,
        )
        statement = statement.on_conflict_do_update(
            index_elements=[objects.c.address, objects.c.name],
            set_={key: statement.excluded[key] for key in ("platform_id", "details", "created_at")},
        )
        with self._write() as connection:
            connection.execute(statement)

    def object(self, address: str, name: str) -> PlatformObject | None:
        with self._read() as connection:
            row = connection.execute(
                select(objects).where(objects.c.address == address, objects.c.name == name)
            ).one_or_none()
        return _object(row) if row is not None else None

    def objects(self, address: str | None = None) -> list[PlatformObject]:
        statement = select(objects).order_by(objects.c.address, objects.c.name)
        if address is not None:
            statement = statement.where(objects.c.address == address)
        with self._read() as connection:
            return [_object(row) for row in connection.execute(statement)]

    def forget(self, customer: str, keys: Sequence[str], now: datetime) -> int:
        """Erase the entries of one person (`keys`, in every stream) and remember a keyed hash of the
        customer's key; how many entries there were. FixConfiguration without an encryption key."""
        digest = self._vault_or_refuse().digest(customer)
        with self._write() as connection:
            connection.execute(
                self._upsert(forgotten).values(digest=digest, forgotten_at=now).on_conflict_do_nothing()
            )
            return connection.execute(delete(entries).where(entries.c.key.in_(keys))).rowcount

    def is_forgotten(self, customers: Array) -> Array:
        """For each customer's key whether the person asked to be erased."""
        with self._read() as connection:
            digests = set(connection.execute(select(forgotten.c.digest)).scalars())
        if not digests:
            return pa.repeat(pa.scalar(False), len(customers))
        digest = self._vault_or_refuse().digest
        return pa.array(
            [key is not None and digest(key) in digests for key in customers.to_pylist()], pa.bool_()
        )


def _model(row: Row[Any]) -> Model:
    return Model(
        name=row.name,
        version=row.version,
        fitted_at=row.fitted_at,
        parameters=row.parameters,
        metrics=row.metrics,
        data_from=row.data_from,
        data_until=row.data_until,
        customers=row.customers,
        orders=row.orders,
        current=row.current,
        accepted_at=row.accepted_at,
        accepted_because=row.accepted_because,
    )


def _object(row: Row[Any]) -> PlatformObject:
    return PlatformObject(row.address, row.name, row.platform_id, row.created_at, row.details)
