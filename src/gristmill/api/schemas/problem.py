"""The form of every refusal (RFC 9457), for the reference."""

from typing import Literal

from pydantic import ConfigDict, Field

from gristmill.api.schemas.fields import Output

__all__ = ["FieldProblem", "Problem"]


class FieldProblem(Output):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(extra="allow")

    field: str = Field(description="Where it stands, such as `doc_ids.0`.")
    code: str
    message: str = Field(description="The fact and its remedy.")


class Problem(Output):
    """A refusal. The facts of its message stand beside these members, under their own names."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`urn:gristmill:problem:` and the code.")
    title: str = Field(description="The HTTP status in words.")
    status: int
    detail: str = Field(description="The same text as `message`.")
    code: str = Field(description="Stable name of the problem; programs compare this.")
    success: Literal[False]
    message: str = Field(description="The fact and its remedy, in the language of the client.")
    errors: list[FieldProblem] | None = Field(None, description="For invalid requests: everything that is wrong.")
