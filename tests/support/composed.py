"""Workflows of errands on a mill: written in few words, run, and looked at afterwards."""

from collections import Counter
from pathlib import Path
from typing import Any

from gristmill.app.workflows import WorkflowState
from gristmill.tasks.model import Task, TaskFilter
from gristmill.tasks.workflow import Node, Step
from tests.integration.worker.conftest import Mill
from tests.support.history import effects_in, prepare_effects, what_broke
from tests.support.waiting import eventually

__all__ = ["Composed"]


class Composed:
    """One test's errands, which know each other by name."""

    def __init__(self, mill: Mill, folder: Path) -> None:
        self.mill = mill
        self.folder = folder
        prepare_effects(mill.app.database)

    def errand(self, name: str, value: Any = None, **more: Any) -> Step:
        """A step that returns ``{"name", "value"}``."""
        payload = {"name": name, "value": value, "folder": str(self.folder), **more}
        return Step(kind="errand", payload=payload)

    def undone(self, name: str) -> Step:
        """A step that another, called ``undo NAME``, undoes."""
        return self.errand(name).compensated_by(self.errand(f"undo {name}"))

    def fail(self, *names: str) -> None:
        """Let these fail from now on."""
        for name in names:
            (self.folder / f"fail-{name}").touch()

    def mend(self, *names: str) -> None:
        """Let these complete again."""
        for name in names:
            (self.folder / f"fail-{name}").unlink()

    def hold(self, *names: str) -> None:
        """Keep these from ending, once they have begun."""
        for name in names:
            (self.folder / f"hold-{name}").touch()

    def let_go(self, *names: str) -> None:
        """Let these end."""
        for name in names:
            (self.folder / f"hold-{name}").unlink()

    def have_begun(self) -> set[str]:
        """Those that have begun by now."""
        return {mark.name.removeprefix("began-") for mark in self.folder.glob("began-*")}

    def began(self, *names: str) -> None:
        """Wait until these have begun."""
        eventually(lambda: self.have_begun() >= set(names), 20)

    def submit(self, work: Node, **options: Any) -> Task:
        """Accept a workflow."""
        return self.mill.app.workflows.submit(work, **options)

    def run(self, work: Node, **options: Any) -> Task:
        """A workflow after its end."""
        return self.mill.ended(self.submit(work, **options), 40)

    def state(self, task: Task) -> WorkflowState:
        """How far all of it is."""
        return self.mill.app.workflows.state(task.id)

    def family(self, task: Task) -> list[Task]:
        """A workflow and all that it has started, oldest first."""
        found = self.mill.app.store.find(TaskFilter(ancestor_id=task.id), limit=100_000)
        return [self.mill.app.store.get(task.id), *reversed(found)]

    def named(self, task: Task, name: str) -> Task:
        """The errand of that name in a workflow."""
        (found,) = [child for child in self.family(task) if child.payload.get("name") == name]
        return found

    def value(self, task: Task, name: str) -> Any:
        """What the errand of that name was given, and returned."""
        return (self.named(task, name).result or {})["value"]

    def states(self, task: Task) -> dict[str, str]:
        """What became of each errand that was started."""
        return {child.payload["name"]: child.state.value for child in self.family(task) if child.kind == "errand"}

    def effects(self, task: Task) -> Counter[str]:
        """How often the effect of each errand happened."""
        names = {child.id: child.payload["name"] for child in self.family(task) if child.kind == "errand"}
        found = effects_in(self.mill.app.database)
        return Counter(name for own, name in names.items() for _ in found.get(own, ()))

    def what_broke(self, *workflows: Task) -> list[str]:
        """What is wrong with the histories of all that these have started."""
        store, effects = self.mill.app.store, effects_in(self.mill.app.database)
        family = [task for workflow in workflows for task in self.family(workflow)]
        errands = [task.id for task in family if task.kind == "errand"]
        others = [task.id for task in family if task.kind != "errand"]
        return [*what_broke(store, errands, effects=effects), *what_broke(store, others)]
