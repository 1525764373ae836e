"""Consent as the business's regime resolves it, row by row."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache

from sqlglot import exp

from clvsync.config.sections import Regime
from connectors.errors import FixConfiguration

_DEFAULT = "default"
_ALSO_KNOWN_AS: Mapping[str, tuple[str, ...]] = {
    "GB": ("UK", "GREAT BRITAIN", "ENGLAND", "SCOTLAND", "WALES", "NORTHERN IRELAND"),
    "US": ("UNITED STATES OF AMERICA", "AMERICA"),
    "GR": ("EL",),
    "NL": ("HOLLAND", "THE NETHERLANDS"),
    "CZ": ("CZECH REPUBLIC",),
    "TR": ("TURKEY",),
}
"""Names in use that ISO 3166 does not list; "EL" is the European Union's code for Greece."""


def resolved(
    answer: exp.Expression, country: exp.Expression, regimes: Mapping[str, Regime]
) -> exp.Expression:
    """The person's answer or, where there is none, what the regime of their country says: opt_in means no,
    opt_out means yes.

    `answer` is BOOLEAN (null: none), `country` TEXT in any usual form (code or English name). A person
    without a country falls under `default`. A country that is not recognised is never taken as opt_out: it
    may be one of those that are opt_in.
    """
    return exp.func("coalesce", answer.copy(), _without_answer(country, regimes))


def _without_answer(country: exp.Expression, regimes: Mapping[str, Regime]) -> exp.Expression:
    default = regimes.get(_DEFAULT, "opt_in")
    by_country = {code.upper(): regime for code, regime in regimes.items() if code != _DEFAULT}
    for code in by_country:
        if code not in _forms():
            raise FixConfiguration(
                "business.consent", f"{code!r} is not a country code", "Use ISO 3166 codes such as DE or US."
            )
    if "opt_out" not in (default, *by_country.values()):
        return exp.false()
    if default == "opt_in":
        agreed = [code for code, regime in by_country.items() if regime == "opt_out"]
        return exp.func("coalesce", _is_one_of(country, agreed), exp.false())
    asked = {code for code, regime in by_country.items() if regime == "opt_in"}
    if not asked:
        return exp.true()
    return exp.func("coalesce", _is_one_of(country, _forms().keys() - asked), exp.true())


def _is_one_of(country: exp.Expression, codes: Collection[str]) -> exp.Expression:
    forms = sorted({form for code in codes for form in _forms()[code]})
    return exp.In(
        this=exp.Upper(this=country.copy()), expressions=[exp.Literal.string(form) for form in forms]
    )


@cache
def _forms() -> Mapping[str, frozenset[str]]:
    """By ISO 3166 alpha-2 code, the upper-case forms in which a country is written."""
    import pycountry

    forms: dict[str, frozenset[str]] = {}
    for country in pycountry.countries:
        names: list[str | None] = [country.alpha_2, country.alpha_3, country.name]
        names += [getattr(country, kind, None) for kind in ("common_name", "official_name")]
        names += _ALSO_KNOWN_AS.get(country.alpha_2, ())
        forms[country.alpha_2] = frozenset(name.upper() for name in names if name)
    return forms
