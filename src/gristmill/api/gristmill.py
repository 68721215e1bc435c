"""How an endpoint gets at the services: it asks for ``Service``."""

from typing import Annotated, cast

from fastapi import Depends, Request

from gristmill.app import Gristmill

__all__ = ["Service"]


async def _service(request: Request) -> Gristmill:
    return cast("Gristmill", request.app.state.gristmill)


Service = Annotated[Gristmill, Depends(_service)]
"""The Gristmill this API stands before."""
