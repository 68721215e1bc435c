"""The form of every answer below ``/api``: ``{"success", "message", "data"}``."""

from typing import Annotated, Generic, Literal, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, Field

from gristmill.messages import render

__all__ = ["Envelope", "Reply"]

DataT = TypeVar("DataT")


class Envelope(BaseModel, Generic[DataT]):
    """An answer to a request that was carried out or accepted."""

    success: Literal[True] = Field(True, description="Always true here; a problem has false.")
    message: str = Field(description="What happened, in the language of the client.")
    data: DataT


class _Speaker:
    """Puts data into an envelope, with a message in the client's language."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, data: DataT, code: str = "ok", **facts: object) -> Envelope[DataT]:
        return Envelope(success=True, message=self.say(code, **facts), data=data)

    def say(self, code: str, **facts: object) -> str:
        """The message ``code`` alone."""
        return render(code, facts, self.language)


async def _speaker(request: Request) -> _Speaker:
    return _Speaker(request.state.language)


Reply = Annotated[_Speaker, Depends(_speaker)]
"""Asked for by endpoints that answer with an envelope."""
