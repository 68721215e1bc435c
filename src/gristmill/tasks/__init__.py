"""The task lifecycle: model, rules, ports, service, runner and sweeper. Imports no technology."""

__all__: list[str] = []
