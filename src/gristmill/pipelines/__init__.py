"""What a task of each kind does: steps, the task's context and the index put together. A page each."""

__all__: list[str] = []
