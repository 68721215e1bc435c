"""Real workers, tasks that behave."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from gristmill.tasks.model import TaskState
from tests.integration.worker.conftest import Mill, gone
from tests.support.waiting import eventually


def test_worker_runs_tasks_from_submit_to_result(running_mill: Mill) -> None:
    waiting = running_mill.app.tasks.submit("ping", {"note": "接受于无人时"})
    later = [running_mill.app.tasks.submit("ping", {"note": str(number)}) for number in range(20)]

    ended = [running_mill.ended(task) for task in (waiting, *later)]

    assert [task.result for task in ended] == [{"note": "接受于无人时"}, *({"note": str(n)} for n in range(20))]
    assert all(running_mill.history(task) == ["submitted", "claimed", "completed"] for task in ended)
    assert {task.state for task in ended} == {TaskState.COMPLETED}


def test_cancelled_task_stops_where_it_asks(running_mill: Mill) -> None:
    task = running_mill.submit("patient")
    _, temp_dir = running_mill.started(task)

    running_mill.app.tasks.cancel_one(task.id)

    assert running_mill.ended(task, 5).state is TaskState.CANCELLED
    assert running_mill.history(task) == ["submitted", "claimed", "cancel_requested", "cancelled"]
    eventually(lambda: not Path(temp_dir).exists())


def test_cancelled_task_that_only_sleeps_is_interrupted(running_mill: Mill) -> None:
    task = running_mill.submit("sleepy")
    running_mill.started(task)

    running_mill.app.tasks.cancel_one(task.id)

    assert running_mill.ended(task, 5).state is TaskState.CANCELLED


def test_cancelled_task_that_hears_nothing_is_killed_and_the_next_runs(running_mill: Mill) -> None:
    task = running_mill.submit("deaf")
    _, temp_dir = running_mill.started(task)
    after = running_mill.app.tasks.submit("ping", {"note": "next"})

    running_mill.app.tasks.cancel_one(task.id)

    assert running_mill.ended(task, 5).state is TaskState.CANCELLED
    assert running_mill.ended(after).state is TaskState.COMPLETED
    assert not Path(temp_dir).exists()


def test_soft_limit_ends_the_attempt_from_within(running_mill: Mill) -> None:
    task = running_mill.ended(running_mill.submit("sleepy", soft_limit_seconds=0.3))

    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert (task.error.code, task.error.facts) == ("soft_limit_exceeded", {"seconds": 0.3})


def test_hard_limit_kills_a_task_inside_c_code(running_mill: Mill) -> None:
    task = running_mill.submit("deaf", soft_limit_seconds=0.2, hard_limit_seconds=0.6)
    _, temp_dir = running_mill.started(task)

    ended = running_mill.ended(task, 2.6)

    assert ended.error is not None
    assert (ended.error.code, ended.error.facts) == ("hard_limit_exceeded", {"seconds": 0.6})
    assert running_mill.history(task) == ["submitted", "claimed", "failed"]
    assert not Path(temp_dir).exists()


def test_task_that_kills_its_process_is_parked_with_the_reason(running_mill: Mill) -> None:
    task = running_mill.submit("crashing")

    ended = running_mill.ended(task, 30)

    assert ended.error is not None
    assert ended.error.code == "task_parked"
    assert ended.error.facts == {"crashes": 3, "reason": "killed by SIGABRT"}
    assert running_mill.history(task) == ["submitted", *("claimed", "worker_lost") * 2, "claimed", "parked"]


def test_task_that_asks_for_too_much_memory_fails_alone(running_mill: Mill) -> None:
    at_once, by_and_by = (
        running_mill.ended(running_mill.submit("hungry")),
        running_mill.ended(running_mill.submit("swelling")),
    )
    after = running_mill.ended(running_mill.app.tasks.submit("ping", {}))

    assert [task.error and task.error.code for task in (at_once, by_and_by)] == ["memory_exhausted"] * 2
    assert after.state is TaskState.COMPLETED


def test_killed_process_takes_the_processes_it_started_along(running_mill: Mill) -> None:
    task = running_mill.submit("parental", hard_limit_seconds=0.5, soft_limit_seconds=100.0)
    pids = [int(pid) for pid in running_mill.started(task)]
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]

    running_mill.ended(task)

    eventually(lambda: gone(processes), 3)


def test_killed_slot_is_replaced_and_its_task_runs_again(running_mill: Mill) -> None:
    task = running_mill.submit("patient")
    pid, temp_dir = running_mill.started(task)

    os.kill(int(pid), signal.SIGKILL)

    running_mill.started(task, lease=2)
    running_mill.let_go(task)
    ended = running_mill.ended(task)
    assert (ended.result, ended.crash_count) == ({"lease": 2}, 1)
    assert not Path(temp_dir).exists()


@pytest.mark.parametrize(
    ("nice", "policies"),
    [
        (19, {"SCHED_IDLE", "SCHED_OTHER"}),
        (10, {"SCHED_BATCH", "SCHED_OTHER"}),
        (0, {"SCHED_OTHER"}),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="other systems know niceness only")
def test_slot_leaves_the_processor_to_others_unless_it_is_told_not_to(
    make_mill: Callable[..., Mill], nice: int, policies: set[str]
) -> None:
    mill = make_mill(workers={"nice": nice})
    mill.start()
    task = mill.submit("patient")

    slot = int(mill.started(task)[0])

    assert psutil.Process(slot).nice() - psutil.Process().nice() == nice
    # What runs the task has stepped back; what writes and what listens to the supervisor has not.
    names = {getattr(os, name): name for name in ("SCHED_IDLE", "SCHED_BATCH", "SCHED_OTHER")}
    threads = [slot, *(int(entry.name) for entry in Path(f"/proc/{slot}/task").iterdir())]
    found = [names[os.sched_getscheduler(thread)] for thread in threads]
    assert found[0] in policies - ({"SCHED_OTHER"} if nice else set())
    assert set(found) == policies
    mill.let_go(task)
    assert mill.ended(task).state is TaskState.COMPLETED


def test_tasks_claimed_along_with_a_long_one_do_not_wait_for_it(mill: Mill) -> None:
    service = mill.app.tasks
    short = [service.submit("ping", {}) for _ in range(100)]
    mill.start()
    for task in short:
        mill.ended(task)

    # By now the slot takes many at a time, and these come all at once.
    drafts = [service.draft("ping", {}), service.draft("ping", {"seconds": 30}), service.draft("ping", {})]
    before, long, after = service.submit_all(drafts)

    assert mill.ended(before).state is TaskState.COMPLETED
    eventually(lambda: mill.app.store.get(after.id).state is TaskState.PENDING and "released" in mill.history(after))
    assert mill.app.store.get(after.id).attempt == 0
    assert mill.app.store.get(long.id).state is TaskState.PROCESSING
    service.cancel_one(long.id)
    assert mill.ended(after).state is TaskState.COMPLETED
