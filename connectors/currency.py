"""ISO 4217: which currency codes there are and how many decimals each has."""

from __future__ import annotations

from functools import cache

# ISO 4217 list one (SIX Financial Information, maintenance agency), 2026: every other currency has two.
_NO_DECIMALS = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split())
_THREE_DECIMALS = frozenset("BHD IQD JOD KWD LYD OMR TND".split())
_FOUR_DECIMALS = frozenset("CLF UYW".split())


@cache
def codes() -> frozenset[str]:
    """Every ISO 4217 code in use."""
    import pycountry

    return frozenset(currency.alpha_3 for currency in pycountry.currencies)


def decimals(code: str) -> int:
    """How many decimals amounts of this currency have."""
    if code in _NO_DECIMALS:
        return 0
    if code in _THREE_DECIMALS:
        return 3
    return 4 if code in _FOUR_DECIMALS else 2
