"""How money and instants are stored: as 64-bit integers, alike in every database.

Money is counted in ten-thousandths of the currency's major unit, which is `connectors.types.MONEY` without
its point; instants in microseconds of UTC since 1970. Integers are exact, sort and subtract in any engine,
and stream through ADBC without being parsed, which text decimals and ISO instants would not.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import BigInteger
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from connectors.types import Array

TEN_THOUSANDTHS = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def instant_to_integer(instant: datetime) -> int:
    """Microseconds since 1970; ValueError for an instant without a zone."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return (instant - _EPOCH) // _MICROSECOND


def integer_to_instant(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND


def money_to_integer(amount: Decimal) -> int:
    """Ten-thousandths; ValueError where the amount is finer than that."""
    scaled = amount.scaleb(4)
    if scaled != scaled.to_integral_value():
        raise ValueError("an amount of money has at most four decimal places")
    return int(scaled)


def integer_to_money(ten_thousandths: int) -> Decimal:
    return Decimal(ten_thousandths).scaleb(-4)


def money_column(amounts: Array) -> Array:
    """A MONEY column as 64-bit integers."""
    scaled = pc.multiply(pc.cast(amounts, pa.decimal128(18, 4)), pa.scalar(Decimal(TEN_THOUSANDTHS)))
    return pc.cast(scaled, pa.int64())


def instant_column(instants: Array) -> Array:
    """An INSTANT column as 64-bit integers."""
    return pc.cast(pc.cast(instants, pa.timestamp("us", tz="UTC")), pa.int64())


class Money(TypeDecorator[Decimal]):
    """A BIGINT of ten-thousandths that reads and writes Decimal."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, _dialect: Dialect) -> int | None:
        return None if value is None else money_to_integer(value)

    def process_result_value(self, value: Any | None, _dialect: Dialect) -> Decimal | None:
        return None if value is None else integer_to_money(int(value))


class Instant(TypeDecorator[datetime]):
    """A BIGINT of microseconds that reads and writes aware UTC datetimes."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> int | None:
        return None if value is None else instant_to_integer(value)

    def process_result_value(self, value: Any | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else integer_to_instant(int(value))
