"""The Google Ads Query Language, as far as accounts, campaigns and conversion actions are read with it.

Grammar: google-ads/api/docs/query/grammar, November 2026; fields: GoogleAdsRow in google-ads 34.0.0 (v26).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

import grpc
from google.ads.googleads.v26.services.types.google_ads_service import GoogleAdsRow
from google.protobuf.descriptor import FieldDescriptor

from connectors.sandbox.google_ads_errors import AdsRefusal, invalid

Literal = str | list[str] | None

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
      | (?P<operator><=|>=|!=|=|<|>|\(|\)|,)
      | (?P<word>[A-Za-z0-9_.+-]+)
    )""",
    re.VERBOSE,
)
_COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")
_NOT_HELD = ("CONTAINS", "REGEXP_MATCH")
_CLAUSES = ("FROM", "WHERE", "ORDER", "LIMIT", "PARAMETERS")


def problem(name: str, message: str) -> AdsRefusal:
    """INVALID_ARGUMENT with a QueryError."""
    return invalid("query_error", name, message)


@dataclass(frozen=True, slots=True)
class Condition:
    """`field` `operator` `value`. BETWEEN becomes two of these, DURING is kept for the account's day."""

    field: str
    operator: str
    value: Literal = None


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query; `order` holds (field, descending)."""

    fields: tuple[str, ...]
    resource: str
    conditions: tuple[Condition, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None

    def conditions_on(self, field: str) -> tuple[Condition, ...]:
        return tuple(condition for condition in self.conditions if condition.field == field)


def parse(text: str) -> Query:
    """Read a query and check every field against GoogleAdsRow. Raises AdsRefusal with a QueryError."""
    query = _Parser(text).query()
    if (
        query.resource in ("metrics", "segments")
        or query.resource not in GoogleAdsRow.pb().DESCRIPTOR.fields_by_name
    ):
        raise problem(
            "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE", f"Error in FROM clause: '{query.resource}' is no resource."
        )
    named = [*query.fields, *(one.field for one in query.conditions), *(field for field, _ in query.order)]
    for field in named:
        field_path(field)
        root = field.split(".")[0]
        if root not in (query.resource, "customer", "metrics", "segments"):
            raise problem(
                "PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE",
                f"Resource '{root}' cannot be selected from '{query.resource}'.",
            )
    for condition in query.conditions:
        _check_value(condition)
    _check_dates(query)
    return query


@cache
def field_path(field: str) -> tuple[FieldDescriptor, ...]:
    """The descriptors from GoogleAdsRow to a field that can be selected. Raises UNRECOGNIZED_FIELD."""
    descriptor: Any = GoogleAdsRow.pb().DESCRIPTOR
    path: list[FieldDescriptor] = []
    for part in field.split("."):
        # The library's messages spell names that are Python's own with an underscore: type_.
        found = descriptor and (
            descriptor.fields_by_name.get(part) or descriptor.fields_by_name.get(part + "_")
        )
        if not found:
            raise problem("UNRECOGNIZED_FIELD", f"Unrecognized field in the query: '{field}'.")
        path.append(found)
        descriptor = found.message_type
    if descriptor is not None and not path[-1].is_repeated:
        raise problem("UNRECOGNIZED_FIELD", f"Unrecognized field in the query: '{field}'.")
    return tuple(path)


def _check_value(condition: Condition) -> None:
    leaf = field_path(condition.field)[-1]
    values = condition.value if isinstance(condition.value, list) else [condition.value]
    for value in values:
        if value is None or condition.operator in ("DURING", "LIKE", "NOT LIKE"):
            continue
        if leaf.enum_type is not None and value not in leaf.enum_type.values_by_name:
            raise problem("BAD_ENUM_CONSTANT", f"Invalid enum value in '{condition.field}': '{value}'.")
        if leaf.enum_type is None and leaf.cpp_type != FieldDescriptor.CPPTYPE_STRING:
            number_or_truth(leaf, value)


def number_or_truth(leaf: FieldDescriptor, value: str) -> float | bool:
    """A literal compared with a number or a boolean. Raises BAD_VALUE."""
    if leaf.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if value.upper() in ("TRUE", "FALSE"):
            return value.upper() == "TRUE"
    else:
        try:
            return float(value)
        except ValueError:
            pass
    raise problem("BAD_VALUE", f"'{value}' is no value for the field '{leaf.name}'.")


def _check_dates(query: Query) -> None:
    segments = [field for field in query.fields if field.startswith("segments.")]
    held = {"segments.date"}
    for field in (*segments, *(one.field for one in query.conditions if one.field.startswith("segments."))):
        if field not in held:
            raise AdsRefusal(grpc.StatusCode.UNIMPLEMENTED, f"sandbox: the segment {field} is not held here")
    operators = {condition.operator for condition in query.conditions_on("segments.date")}
    finite = bool(operators & {"=", "DURING", "IN"}) or (operators & {">", ">="} and operators & {"<", "<="})
    if segments and not finite:
        raise problem("EXPECTED_FILTERS_ON_DATE_RANGE", "segments.date needs a finite date range in WHERE.")
    for condition in query.conditions_on("segments.date"):
        if condition.operator != "DURING":
            for value in condition.value if isinstance(condition.value, list) else [condition.value or ""]:
                _date(value)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise problem("INVALID_DATE_FORMAT", f"'{text}' is no date; write yyyy-mm-dd.") from None


def date_range(condition: Condition, today: date) -> tuple[date, date]:
    """The first and last day of a DURING condition, for an account whose day is `today`."""
    yesterday = today - timedelta(days=1)
    first = today.replace(day=1)
    ranges = {
        "TODAY": (today, today),
        "YESTERDAY": (yesterday, yesterday),
        "LAST_7_DAYS": (today - timedelta(days=7), yesterday),
        "LAST_14_DAYS": (today - timedelta(days=14), yesterday),
        "LAST_30_DAYS": (today - timedelta(days=30), yesterday),
        "THIS_MONTH": (first, today),
        "LAST_MONTH": ((first - timedelta(days=1)).replace(day=1), first - timedelta(days=1)),
    }
    if condition.value not in ranges:
        raise problem("INVALID_VALUE_WITH_DURING_OPERATOR", f"'{condition.value}' is no date range.")
    return ranges[str(condition.value)]


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = self._split(text)
        self._next = 0

    @staticmethod
    def _split(text: str) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            found = _TOKEN.match(text, position)
            if found is None:
                name = "STRING_NOT_TERMINATED" if text[position:].lstrip()[:1] in ("'", '"') else "BAD_SYMBOL"
                raise problem(name, f"Error in query at position {position}.")
            kind = str(found.lastgroup)
            word = found[kind]
            tokens.append((kind, re.sub(r"\\(.)", r"\1", word[1:-1]) if kind == "string" else word))
            position = found.end()
        return tokens

    def query(self) -> Query:
        self._expect("SELECT", "EXPECTED_SELECT")
        fields = self._list()
        self._expect("FROM", "EXPECTED_FROM")
        resource = self._word()
        conditions: list[Condition] = []
        if self._accept("WHERE"):
            conditions += self._condition()
            while self._accept("AND"):
                conditions += self._condition()
        order = self._order() if self._accept("ORDER") else ()
        limit = self._limit() if self._accept("LIMIT") else None
        if self._accept("PARAMETERS"):
            self._next = len(self._tokens)
        if self._next < len(self._tokens):
            raise problem("UNEXPECTED_INPUT", f"Unexpected input '{self._tokens[self._next][1]}'.")
        return Query(tuple(fields), resource, tuple(conditions), tuple(order), limit)

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._next] if self._next < len(self._tokens) else ("end", "")

    def _take(self) -> tuple[str, str]:
        token = self._peek()
        if token[0] == "end":
            raise problem("UNEXPECTED_END_OF_QUERY", "The query ends too early.")
        self._next += 1
        return token

    def _accept(self, keyword: str) -> bool:
        kind, word = self._peek()
        if kind == "string" or word.upper() != keyword:
            return False
        self._next += 1
        return True

    def _expect(self, keyword: str, name: str) -> None:
        if not self._accept(keyword):
            raise problem(name, f"Expected {keyword}, found '{self._peek()[1]}'.")

    def _word(self) -> str:
        kind, word = self._take()
        if kind != "word" or word.upper() in _CLAUSES:
            raise problem("BAD_FIELD_NAME", f"'{word}' is no name.")
        return word

    def _list(self) -> list[str]:
        words = [self._word()]
        while self._accept(","):
            words.append(self._word())
        return words

    def _literal(self) -> str:
        kind, word = self._take()
        if kind == "operator":
            raise problem("EXPECTED_SINGLE_VALUE", f"Expected a value, found '{word}'.")
        return word

    def _values(self) -> list[str]:
        self._expect("(", "EXPECTED_LIST")
        values = [] if self._peek()[1] == ")" else [self._literal()]
        while self._accept(","):
            values.append(self._literal())
        self._expect(")", "EXPECTED_LIST")
        if not values:
            raise problem("PROHIBITED_EMPTY_LIST_IN_CONDITION", "A list in a condition is empty.")
        return values

    def _condition(self) -> list[Condition]:
        field = self._word()
        word = self._take()[1].upper()
        if word in _COMPARISONS:
            return [Condition(field, word, self._literal())]
        if word == "IS":
            negated = self._accept("NOT")
            self._expect("NULL", "BAD_OPERATOR")
            return [Condition(field, "IS NOT NULL" if negated else "IS NULL")]
        if word == "BETWEEN":
            first = self._literal()
            self._expect("AND", "EXPECTED_AND")
            return [Condition(field, ">=", first), Condition(field, "<=", self._literal())]
        if word == "DURING":
            return [Condition(field, word, self._literal().upper())]
        negation = "NOT " if word == "NOT" else ""
        word = self._take()[1].upper() if negation else word
        if word == "IN":
            return [Condition(field, negation + word, self._values())]
        if word == "LIKE":
            return [Condition(field, negation + word, self._literal())]
        if word in _NOT_HELD:
            raise AdsRefusal(grpc.StatusCode.UNIMPLEMENTED, f"sandbox: the operator {word} is not held here")
        raise problem("BAD_OPERATOR", f"'{word}' is no operator here.")

    def _order(self) -> list[tuple[str, bool]]:
        self._expect("BY", "EXPECTED_BY")
        order: list[tuple[str, bool]] = []
        while True:
            field = self._word()
            descending = self._accept("DESC")
            if not descending:
                self._accept("ASC")
            order.append((field, descending))
            if not self._accept(","):
                return order

    def _limit(self) -> int:
        word = self._literal()
        if not word.isdigit():
            raise problem("BAD_LIMIT_VALUE", f"'{word}' is no limit.")
        if int(word) < 1:
            raise problem("LIMIT_VALUE_TOO_LOW", "The limit must be 1 or more.")
        return int(word)
