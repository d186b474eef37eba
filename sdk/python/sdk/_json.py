"""What goes over the wire: JSON and queries of whatever callers have at hand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Set
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Union
from urllib.parse import quote
from uuid import UUID

import pydantic

from ._compat import plain

# What a caller leaves out, where None says something else.
LEFT_OUT: Any = ...

Id = Union[UUID, str]
Time = Union[datetime, str]


def encode(value: Any) -> bytes:
    """Write JSON. TypeError and ValueError name what cannot be written; NaN and the infinities are among that."""
    return json.dumps(value, default=_default, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, (UUID, PurePath)):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, pydantic.BaseModel):
        return plain(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (Set, tuple)):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def time_text(value: Time) -> str:
    """Write a time; one without a zone is taken as UTC, as the API's are."""
    if isinstance(value, str):
        return value
    if value.tzinfo is None:
        value = value.replace(tzinfo=timezone.utc)
    return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def given(**fields: Any) -> dict[str, Any]:
    """Return the fields that were given: neither None nor `...`, which examples write for what they leave out."""
    return {name: value for name, value in fields.items() if value is not None and value is not LEFT_OUT}


def changed(**fields: Any) -> dict[str, Any]:
    """Return the fields that were given, where None is a value like others."""
    return {name: value for name, value in fields.items() if value is not LEFT_OUT}


def query(**fields: Any) -> dict[str, str]:
    """Return the fields that were given as a query."""
    return {name: time_text(v) if isinstance(v, datetime) else str(v) for name, v in given(**fields).items()}


def segment(value: Id) -> str:
    """Write an id as a part of a path."""
    text = quote(str(value), safe="")
    if not text:
        raise ValueError("an id must not be empty")
    return text


def text_of(value: Id | None) -> str | None:
    """Write an id as text."""
    return None if value is None else str(value)
