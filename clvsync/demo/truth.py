"""What the simulation knows of every person: their nature, their expected total CLV, the parameters."""

from __future__ import annotations

import numpy as np

from clvsync.demo import market, purchasing
from clvsync.demo.market import CATEGORIES, DEVICES, ORIGINS, Columns, Floats, Strings
from clvsync.demo.places import COUNTRIES
from clvsync.demo.purchasing import Acquisitions, Nature


def truth_rows(customer_id: Strings, acquired: Acquisitions, nature: Nature, first_value: Floats) -> Columns:
    """The table `truth` for these people."""
    return {
        "customer_id": customer_id,
        "second_key": np.full(len(acquired), None, dtype=object),
        "acquired_at": acquired.at,
        "country": market.words(COUNTRIES, "code")[acquired.country],
        "channel": market.words(ORIGINS, "channel")[acquired.origin],
        "campaign": market.words(ORIGINS, "name")[acquired.origin],
        "device": market.words(DEVICES, "name")[acquired.device],
        "category": market.words(CATEGORIES, "name")[acquired.category],
        "discounted": acquired.discounted,
        "rate": nature.rate,
        "dropout": nature.dropout,
        "mean_value": nature.mean_value,
        "first_value": first_value,
        "total_clv": purchasing.expected_total_clv(nature, first_value),
    }


def truth_parameters() -> Columns:
    """The table `truth_parameters`: the stated margin, discount rate and horizon, and the process's own."""
    parameters = {
        "margin": market.MARGIN,
        "discount_rate": market.DISCOUNT_RATE,
        "horizon_days": float(market.HORIZON_DAYS),
        "kept_share": market.KEPT_SHARE,
        "purchase_rate": market.PURCHASE_RATE,
        "purchase_rate_shape": market.PURCHASE_RATE_SHAPE,
        "dropout_concentration": market.DROPOUT_CONCENTRATION,
        "order_value": market.ORDER_VALUE,
        "order_value_shape": market.ORDER_VALUE_SHAPE,
        "customer_value_shape": market.CUSTOMER_VALUE_SHAPE,
    }
    return {
        "name": np.array(list(parameters), dtype=object),
        "value": np.array(list(parameters.values()), dtype=np.float64),
    }
