"""Answers become JSON in the thread that worked them out, once, and go out as they are.

Left to FastAPI, an answer goes to another thread to be checked against the type that has just made it.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from fastapi import Response
from pydantic import BaseModel

__all__ = ["answering"]

_JSON_TYPE = "application/json"


def answering(endpoint: Callable[..., Any], status_code: int | None) -> Callable[..., Any]:
    """``endpoint``, answering with a ready response wherever it returns a model; to FastAPI it looks the same.

    The status is the one that it sets on the ``Response`` it asks for, or else ``status_code``.
    """
    parameters = inspect.signature(endpoint).parameters.values()
    asked = next((parameter.name for parameter in parameters if parameter.annotation is Response), None)

    @wraps(endpoint)
    def answer(**values: Any) -> Any:
        answered = endpoint(**values)
        if not isinstance(answered, BaseModel):
            return answered
        chosen: int | None = None if asked is None else values[asked].status_code
        return Response(answered.model_dump_json(by_alias=True), chosen or status_code or 200, media_type=_JSON_TYPE)

    return answer
