"""Values of a body that came as JSON or as a form, checked like any other body."""

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

__all__ = ["validated"]

ModelT = TypeVar("ModelT", bound=BaseModel)


def validated(model: type[ModelT], values: Mapping[str, Any]) -> ModelT:
    """``values`` as a ``model``; refused like a body that FastAPI reads itself."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_url=False)]
        raise RequestValidationError(faults) from None
