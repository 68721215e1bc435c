"""Values of a body that came as JSON or as a form, checked like any other body."""

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams

__all__ = ["validated", "validated_query"]

ModelT = TypeVar("ModelT", bound=BaseModel)


def validated(model: type[ModelT], values: Mapping[str, Any]) -> ModelT:
    """``values`` as a ``model``; refused like a body that FastAPI reads itself."""
    return _validated(model, values, "body")


def validated_query(model: type[ModelT], query: QueryParams) -> ModelT:
    """The same for a query: of what takes no list, the last value counts."""
    lists = {name for name, field in model.model_fields.items() if field.default == []}
    values = {name: query.getlist(name) if name in lists else query[name] for name in query}
    return _validated(model, values, "query")


def _validated(model: type[ModelT], values: Mapping[str, Any], place: str) -> ModelT:
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        faults = [{**fault, "loc": (place, *fault["loc"])} for fault in error.errors(include_url=False)]
        raise RequestValidationError(faults) from None
