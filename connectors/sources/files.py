"""A folder of Parquet and CSV files, each file or sub-folder a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlglot import exp

from connectors.errors import FixConfiguration
from connectors.sources import queries
from connectors.sources.embedded import Embedded
from connectors.types import Finding, Severity

_PARQUET = (".parquet", ".pq")
_CSV = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst")

# What a CSV column that DuckDB takes for floating point is by its text. More digits than a float holds, and
# neither of the first two: text.
_WHOLE, _AS_WHOLE = r"\s*-?\d{1,38}\s*", "DECIMAL(38,0)"
_DECIMAL, _AS_DECIMAL = r"\s*-?\d{1,29}(\.\d{1,9})?\s*", "DECIMAL(38,9)"
_EXACT_AS_FLOAT = r"\s*[+-]?\d{0,15}(\.\d*)?([eE][+-]?\d+)?\s*|\D*"
# Said outright: DuckDB tells it from a file's first rows, and takes a quote that comes later for a letter.
_QUOTE = '"'
# Said too: where a late line has more fields than the first, DuckDB leaves out all before it without a word.
_NOTHING_SKIPPED = 0
_YEAR_FIRST = r"\s*\d{4}-\d{2}-\d{2}.*"


_Stamp = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _FileTable:
    """The files of one table. `stamp` changes when any of them does."""

    files: tuple[Path, ...]
    parquet: bool

    @property
    def stamp(self) -> _Stamp:
        return tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in self.files)


class Files(Embedded):
    """Tables from files: `customers.csv` and the files under `customers/` are both the table `customers`.

    The first line of a CSV file names its columns; types are found from all of its rows, so that a bad
    value late in a file cannot fail a stream that has begun. Dates that are not written year first stay
    text, since day and month cannot be told apart, and amounts become decimals, not floats.
    """

    def __init__(self, path: Path, *, name: str, memory_limit: str) -> None:
        super().__init__(name, memory_limit=memory_limit)
        self._path = path
        self._types: dict[tuple[Path, ...], tuple[_Stamp, dict[str, str]]] = {}

    def _prepare(self, connection: Any, query: exp.Expression) -> exp.Expression:
        found = {name.lower(): table for name, table in self._found().items()}
        inside = queries.names_inside(query)

        resolved = query.copy()
        for node in list(resolved.find_all(exp.Table)):
            table = found.get(node.name.lower())
            if table is None or node.catalog or node.name.lower() in inside:
                continue
            if not node.alias:
                node.set("alias", exp.TableAlias(this=node.this.copy()))
            node.set("this", self._function(connection, table))
            node.set("db", None)
        return resolved

    def _function(self, connection: Any, table: _FileTable) -> exp.Expression:
        files = [str(file) for file in table.files]
        if table.parquet:
            return _reading("read_parquet", files)
        stamp, types_by_name = self._types.get(table.files, (None, {}))
        if stamp != table.stamp:
            stamp, types_by_name = table.stamp, _types(connection, files)
            self._types[table.files] = stamp, types_by_name
        types = [
            exp.PropertyEQ(this=exp.Literal.string(name), expression=exp.Literal.string(kind))
            for name, kind in types_by_name.items()
        ]
        quote = exp.Literal.string(_QUOTE)
        return _reading(
            "read_csv",
            files,
            header=exp.true(),
            quote=quote,
            escape=quote,
            skip=exp.Literal.number(_NOTHING_SKIPPED),
            types=exp.Struct(expressions=types),
        )

    def _found(self) -> dict[str, _FileTable]:
        """Tables by name. Raises FixConfiguration where two sets of files claim one name."""
        if self._path.is_file():
            tables = [(_stem(self._path), [self._path])]
        else:
            tables = [
                (
                    entry.name,
                    sorted(
                        each for each in entry.rglob("*") if _seen(each.relative_to(entry)) and _kind(each)
                    ),
                )
                if entry.is_dir()
                else (_stem(entry), [entry])
                for entry in sorted(self._path.iterdir())
                if _seen(Path(entry.name)) and (entry.is_dir() or _kind(entry))
            ]
        found: dict[str, _FileTable] = {}
        for name, files in tables:
            kinds = {_kind(file) for file in files}
            if len(kinds) > 1 or name.lower() in {other.lower() for other in found}:
                raise FixConfiguration(
                    self.name, f"table {name} is there as CSV and as Parquet, or twice", "Keep one of them."
                )
            if files:
                found[name] = _FileTable(tuple(files), kinds == {"parquet"})
        return found

    def _tables(self) -> list[str]:
        return sorted(self._found())

    def _look(self) -> Sequence[Finding]:
        tables = self._tables()
        if not tables:
            return [
                Finding(Severity.ERROR, self.name, "no Parquet or CSV file", "Check the folder's address.")
            ]
        return [Finding(Severity.OK, self.name, f"{len(tables)} tables: {', '.join(tables[:20])}")]


def _seen(path: Path) -> bool:
    """False for what a tool keeps for itself, as in `_temporary/`."""
    return not any(part.startswith((".", "_")) for part in path.parts)


def _kind(file: Path) -> str | None:
    name = file.name.lower()
    if not file.is_file():
        return None
    return "parquet" if name.endswith(_PARQUET) else "csv" if name.endswith(_CSV) else None


def _stem(file: Path) -> str:
    return file.name.split(".", 1)[0] if _kind(file) else file.stem


def _reading(function: str, files: list[str], **options: exp.Expression) -> exp.Expression:
    """A table function over the files; columns are matched by name, a missing one is null."""
    paths = exp.Array(expressions=[exp.Literal.string(file) for file in files])
    named = [
        exp.EQ(this=exp.var(name), expression=value)
        for name, value in {"union_by_name": exp.true(), **options}.items()
    ]
    return exp.Anonymous(this=function, expressions=[paths, *named])


def _types(connection: Any, files: list[str]) -> dict[str, str]:
    """DuckDB's types of a CSV table's columns, corrected where they would lose something."""
    form = {
        "header": True,
        "union_by_name": True,
        "quotechar": _QUOTE,
        "escapechar": _QUOTE,
        "skiprows": _NOTHING_SKIPPED,
    }
    sniffed = connection.read_csv(files, sample_size=-1, **form)
    types = {name: str(kind) for name, kind in zip(sniffed.columns, sniffed.types, strict=True)}
    text = connection.read_csv(files, all_varchar=True, **form)
    for name, kind in types.items():
        if kind == "DOUBLE":
            whole, places, exact = _all_match(text, name, _WHOLE, _DECIMAL, _EXACT_AS_FLOAT)
            types[name] = _AS_WHOLE if whole else _AS_DECIMAL if places else kind if exact else "VARCHAR"
        elif kind.startswith(("DATE", "TIMESTAMP")):
            (year_first,) = _all_match(text, name, _YEAR_FIRST)
            types[name] = kind if year_first else "VARCHAR"
    return types


def _all_match(text: Any, name: str, *patterns: str) -> tuple[bool, ...]:
    """For each pattern whether all filled values of the column match it."""
    column = exp.column(name, quoted=True)
    tests = [
        exp.func("bool_and", exp.func("regexp_full_match", column.copy(), exp.Literal.string(pattern)))
        for pattern in patterns
    ]
    matches: tuple[bool, ...] = text.aggregate(
        ", ".join(test.sql(queries.DIALECT) for test in tests)
    ).fetchone()
    return matches
