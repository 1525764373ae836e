"""What every section of clvsync.yaml is."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """A mapping of the configuration. Unknown keys are errors that name the nearest known key."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        arbitrary_types_allowed=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        known = [field.alias or name for name, field in cls.model_fields.items()]
        accepted = set(known) | set(cls.model_fields)
        unknown = [key for key in given if key not in accepted]
        if unknown:
            nearest = {
                str(key): (difflib.get_close_matches(str(key), known, n=1, cutoff=0.5) or [""])[0]
                for key in unknown
            }
            raise PydanticCustomError(
                "unknown_key", "unknown keys", {"nearest": nearest, "known": ", ".join(known)}
            )
        return given


def _currency(code: str) -> str:
    code = code.strip().upper()
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        raise ValueError(f"{code!r} is not an ISO 4217 currency code such as EUR")
    return code


Currency = Annotated[str, AfterValidator(_currency)]
