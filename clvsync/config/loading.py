"""Reads clvsync.yaml: environment, secret files, and errors with file, line and nearest key."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError

from clvsync.config.sections import Config
from connectors.errors import FixConfiguration

STATE_KEY_VARIABLE = "CLVSYNC_STATE_KEY"

_PLACE = tuple[str | int, ...]
_VARIABLE = re.compile(r"\$\{(file:[^}]+|[A-Za-z_][A-Za-z0-9_]*)\}")


class ConfigurationInvalid(FixConfiguration):
    """The configuration file cannot be used. `problems` are lines of the form FILE:LINE: what is wrong."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(
            str(path), "the configuration cannot be used", "Correct it as said:\n" + "\n".join(problems)
        )


def load(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Read, fill in and check the configuration. A `.env` beside the file is read too; the environment wins.

    `${NAME}` takes a value from the environment, `${file:PATH}` the content of a secret file. Relative paths
    in the file are relative to it. Raises ConfigurationInvalid.
    """
    if not path.is_file():
        raise FixConfiguration(
            str(path),
            "there is no such file",
            "Name it with --config, or make one from docs/clvsync.example.yaml.",
        )
    variables: dict[str, str] = {
        k: v for k, v in dotenv_values(path.parent / ".env").items() if v is not None
    }
    variables.update(os.environ if environment is None else environment)
    try:
        content = path.read_bytes()
        root = yaml.compose(content.decode(), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationInvalid(path, [f"{path}:{line}: it is not written in UTF-8"]) from None
    except yaml.reader.ReaderError as error:
        line = content.decode().count("\n", 0, error.position) + 1
        raise ConfigurationInvalid(path, [f"{path}:{line}: {error.reason}"]) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationInvalid(path, [f"{path}:{line}: {error.problem}"]) from None
    reader = _Reader(path, variables)
    tree = reader.read(root, ()) if root is not None else {}
    if reader.problems:
        raise ConfigurationInvalid(path, reader.problems)
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigurationInvalid(path, _problems(path, error, reader.lines)) from None
    return _resolved(config, path.parent, variables)


class _Reader:
    """Turns YAML nodes into plain values, remembering where each stood."""

    def __init__(self, path: Path, variables: Mapping[str, str]) -> None:
        self.path = path
        self.variables = variables
        self.lines: dict[_PLACE, int] = {}
        self.problems: list[str] = []
        self._constructor = yaml.SafeLoader("")
        self._within: list[yaml.Node] = []

    def read(self, node: yaml.Node, place: _PLACE) -> Any:
        self.lines[place] = node.start_mark.line + 1
        if isinstance(node, yaml.CollectionNode):
            if node in self._within:
                return self._problem(node, "it refers to itself")
            self._within.append(node)
            try:
                return self._collection(node, place)
            finally:
                self._within.pop()
        if isinstance(node, yaml.ScalarNode) and "${" in node.value:
            return self._fill_in(node)
        if isinstance(node, yaml.ScalarNode) and node.tag in (
            "tag:yaml.org,2002:float",
            "tag:yaml.org,2002:timestamp",
        ):
            return node.value  # exact: a decimal share or amount never passes through a float
        try:
            return self._constructor.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError):
            return self._problem(node, f"it cannot be read as {node.tag}; put it in quotes if it is text")

    def _collection(self, node: yaml.CollectionNode, place: _PLACE) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        return [self.read(item, (*place, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, place: _PLACE) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, "a key has to be one word")
                continue
            key = key_node.value
            if key in out:
                self._problem(key_node, f"the key {key!r} stands twice")
            out[key] = self.read(value_node, (*place, key))
            self.lines[(*place, key)] = key_node.start_mark.line + 1
        return out

    def _fill_in(self, node: yaml.ScalarNode) -> str:
        def value_of(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("file:"):
                secret = self.path.parent / name.removeprefix("file:")
                if not secret.is_file():
                    self._problem(node, f"the secret file {secret} does not exist")
                    return ""
                return secret.read_text(encoding="utf-8").strip()
            if name not in self.variables:
                nearest = difflib.get_close_matches(name, self.variables, n=1, cutoff=0.75)
                hint = f"; did you mean {nearest[0]}?" if nearest else ""
                self._problem(node, f"the environment has no {name}; set it there or in .env{hint}")
                return ""
            return self.variables[name]

        return _VARIABLE.sub(value_of, node.value)

    def _problem(self, node: yaml.Node, text: str) -> None:
        self.problems.append(f"{self.path}:{node.start_mark.line + 1}: {text}")


def _problems(path: Path, error: ValidationError, lines: Mapping[_PLACE, int]) -> list[str]:
    out: list[tuple[int, str]] = []
    for detail in error.errors(include_input=False, include_url=False):
        place = _place_in_file(detail["loc"], lines)
        dotted = ".".join(str(part) for part in place) or "the file"
        if detail["type"] == "unknown_key":
            context = detail["ctx"]
            for key, nearest in context["nearest"].items():
                line = lines.get((*place, key), 1)
                hint = f"did you mean {nearest!r}?" if nearest else f"known keys: {context['known']}"
                out.append((line, f"{path}:{line}: {dotted} has no key {key!r}; {hint}"))
            continue
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "missing":
            *above, name = detail["loc"]
            place = _place_in_file(tuple(above), lines)
            dotted = ".".join(str(part) for part in place) or "the file"
            message = f"the key {name!r} is required"
        line = lines.get(place, 1)
        out.append((line, f"{path}:{line}: {dotted}: {message}"))
    return [text for _, text in sorted(out)]


def _place_in_file(location: _PLACE, lines: Mapping[_PLACE, int]) -> _PLACE:
    """The error's place without the union tags that pydantic puts into it."""
    place: _PLACE = ()
    for part in location:
        if (*place, part) in lines:
            place = (*place, part)
    return place


def _resolved(config: Config, folder: Path, variables: Mapping[str, str]) -> Config:
    """Relative paths made relative to the file, and the state's key taken from the environment if absent."""
    state = config.state.model_copy(update={"url": _absolute_url(config.state.url, folder)})
    if state.key is None and variables.get(STATE_KEY_VARIABLE):
        state = state.model_copy(update={"key": SecretStr(variables[STATE_KEY_VARIABLE])})
    url = SecretStr(_absolute_url(config.warehouse.url.get_secret_value(), folder))
    warehouse = config.warehouse.model_copy(update={"url": url})
    accounts = config.accounts
    if (google := accounts.google) is not None:
        key_file = google.credentials.service_account_file
        credentials = google.credentials.model_copy(
            update={"service_account_file": folder / key_file if key_file else None}
        )
        certificate = folder / google.certificate if google.certificate else None
        google = google.model_copy(update={"credentials": credentials, "certificate": certificate})
    if (meta := accounts.meta) is not None:
        meta = meta.model_copy(
            update={"certificate": folder / meta.certificate if meta.certificate else None}
        )
    accounts = accounts.model_copy(update={"google": google, "meta": meta})
    return config.model_copy(update={"state": state, "warehouse": warehouse, "accounts": accounts})


_FILE_SCHEMES = ("sqlite", "duckdb", "files")


def _absolute_url(url: str, folder: Path) -> str:
    scheme, separator, rest = url.partition(":///")
    if separator and scheme in _FILE_SCHEMES and not rest.startswith("/"):
        return f"{scheme}:///{(folder / rest).absolute()}"
    return url
