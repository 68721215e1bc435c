"""Ways to tell a worker that a task is ready. Engines carry ids; they never know a task's state."""

__all__: list[str] = []
