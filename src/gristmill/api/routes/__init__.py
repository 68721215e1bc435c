"""The endpoints, one file per thing they are about. They check, call one service, and put its answer into form."""

__all__: list[str] = []
