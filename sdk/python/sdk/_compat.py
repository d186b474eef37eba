"""The one place that knows whether pydantic is of version 1 or 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import pydantic

PYDANTIC_V2: bool = pydantic.VERSION.startswith("2.")

if TYPE_CHECKING or PYDANTIC_V2:

    class Model(pydantic.BaseModel):
        """What every answer is: fields that a newer server adds are kept and can be read like the others."""

        model_config = pydantic.ConfigDict(extra="allow", protected_namespaces=())

else:

    class Model(pydantic.BaseModel):
        """What every answer is: fields that a newer server adds are kept and can be read like the others."""

        class Config:
            extra = "allow"


M = TypeVar("M", bound=Model)

ModelError: type[Exception] = pydantic.ValidationError


def build(model: type[M], data: Any) -> M:
    """Make a model of decoded JSON; ModelError when it does not fit."""
    if PYDANTIC_V2:
        return model.model_validate(data)
    return model.parse_obj(data)


def plain(model: pydantic.BaseModel) -> Mapping[str, Any]:
    """Return the fields of a model, nested ones as mappings too."""
    if PYDANTIC_V2:
        return model.model_dump()
    return model.dict()
