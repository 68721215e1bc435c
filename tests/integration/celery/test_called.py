"""Celery tasks as programs call them: each call is a row, whoever makes it and whether or not a worker is up."""

from gristmill.engines.celery import task_name
from gristmill.kinds import KINDS
from gristmill.tasks.model import TaskState
from tests.support.celery_bench import CeleryBench

REFUSED = {
    "delete_index_task.delay(1, 2)": "celery_arguments_too_many",
    "delete_index_task.delay(1, doc_id=1)": "celery_argument_twice",
    "delete_index_task.delay('one')": "payload_field_type",
    "delete_index_task.delay()": "payload_field_missing",
    "delete_index_task.delay(document=1)": "payload_field_unknown",
    "ping_task.apply_async(priority=10)": "priority_out_of_range",
    "ping_task.apply_async(priority='high')": "priority_out_of_range",
    "ping_task.apply_async(expires=60)": "celery_option_unsupported",
    "ping_task.apply_async(link=ping_task.s())": "celery_option_unsupported",
    "(ping_task.si() | ping_task.si()).apply_async()": "celery_option_unsupported",
    "ping_task.apply_async(task_id='a b')": "celery_task_id_invalid",
    "ping_task.apply_async(countdown='soon')": "celery_option_invalid",
    "ping_task.apply_async(eta='tomorrow')": "celery_option_invalid",
    "ping_task.apply_async(time_limit=-1)": "celery_option_invalid",
    "ping_task()": "celery_runs_in_worker",
    "ping_task.apply()": "celery_runs_in_worker",
    "app.send_task('ping_task_2')": "celery_task_unknown",
}
"""Calls, and the error that each raises."""


def test_every_kind_has_an_importable_task_under_its_name(bench: CeleryBench) -> None:
    code = "import gristmill.celery as module\nanswer = {name: getattr(module, name).name for name in module.__all__ if name.endswith('_task')}"

    names = bench.python(code)

    assert names == {task_name(kind): task_name(kind) for kind in KINDS}


def test_importing_reads_no_settings_and_opens_nothing(bench: CeleryBench) -> None:
    code = "import os, pathlib\nanswer = [app.configured, pathlib.Path(os.environ['GRISTMILL_DATA'], 'new').exists()]"

    assert bench.python(code) == [False, False]


def test_delay_in_another_process_makes_a_row(either: CeleryBench) -> None:
    task_id = either.python("answer = index_document_task.delay(doc_id=101, user_id=1, force=False).id")

    task = either.app.store.get(task_id)
    assert (task.kind, task.queue, task.engine) == ("index_document", "documents", "celery")
    assert task.payload == {"doc_id": 101, "user_id": 1, "force": False}
    assert task.user_id == 1
    assert either.redis.llen("documents") == 1


def test_apply_async_takes_arguments_by_position_and_a_priority(bench: CeleryBench) -> None:
    task_id = bench.python("answer = batch_index_task.apply_async(args=[[1, 2, 3]], priority=9).id")

    task = bench.app.store.get(task_id)
    assert (task.payload, task.priority) == ({"doc_ids": [1, 2, 3]}, 9)


def test_call_returns_before_a_broker_that_is_away_is_noticed(bench: CeleryBench) -> None:
    bench.url = "redis://127.0.0.1:1/0"

    task_id = bench.python("answer = ping_task.delay(note='kept').id")

    assert bench.app.store.get(task_id).payload == {"note": "kept"}


def test_task_id_of_the_caller_makes_a_repeated_call_harmless(bench: CeleryBench) -> None:
    code = "answer = [ping_task.apply_async((str(n),), task_id='order-7').id for n in range(3)]"

    assert bench.python(code) == ["order-7"] * 3
    assert bench.app.store.get("order-7").payload == {"note": "0"}
    assert sum(bench.app.tasks.counts().values()) == 1


def test_countdown_queue_and_limits_are_those_of_the_row(bench: CeleryBench) -> None:
    task_id = bench.python(
        "answer = ping_task.apply_async(countdown=3600, queue='images', time_limit=7, soft_time_limit=5).id"
    )

    task = bench.app.store.get(task_id)
    assert (task.due, task.queue) == (False, "images")
    assert (task.soft_limit_seconds, task.hard_limit_seconds) == (5, 7)


def test_send_task_by_name_is_the_same_call(bench: CeleryBench) -> None:
    task_id = bench.python("answer = app.send_task('delete_index_task', (7,), priority=0).id")

    task = bench.app.store.get(task_id)
    assert (task.kind, task.payload, task.priority) == ("delete_index", {"doc_id": 7}, 0)


def test_members_of_a_group_are_tasks_like_any_other(bench: CeleryBench) -> None:
    code = "from celery import group\nanswer = [r.id for r in group(ping_task.s(note=n) for n in 'ab').apply_async()]"

    ids = bench.python(code)

    assert [task.payload for task in bench.app.store.get_many(ids)] == [{"note": "a"}, {"note": "b"}]


def test_call_that_cannot_be_kept_is_refused_and_leaves_nothing(bench: CeleryBench) -> None:
    code = f"""
from gristmill.errors import GristmillError
answer = {{}}
for call in {list(REFUSED)!r}:
    try:
        answer[call] = str(eval(call))
    except GristmillError as error:
        answer[call] = error.code
"""

    assert bench.python(code) == REFUSED
    assert bench.app.tasks.counts() == {}


def test_result_is_read_off_the_row(either: CeleryBench) -> None:
    either.worker()

    answer = either.python(
        "result = ping_task.delay(note='hello')\n"
        "answer = [result.get(timeout=30), result.state, result.ready(), result.successful()]"
    )

    assert answer == [{"note": "hello"}, "SUCCESS", True, True]


def test_failure_of_a_task_is_raised_where_its_result_is_awaited(bench: CeleryBench) -> None:
    bench.worker()

    answer = bench.python(
        "result = index_document_task.delay(404)\n"
        "try:\n    result.get(timeout=30)\nexcept Exception as error:\n"
        "    answer = [type(error).__name__, error.code, result.state]"
    )

    assert answer == ["NotFound", "document_not_found", "FAILURE"]


def test_revoked_task_never_starts_although_no_worker_was_up(either: CeleryBench) -> None:
    task_id = either.python("result = ping_task.delay()\nresult.revoke()\nanswer = result.id")

    either.worker()
    either.ran_once(either.ping())

    assert either.app.store.get(task_id).state is TaskState.CANCELLED
    assert either.happened(task_id, "claimed") == 0


def test_result_of_a_revoked_task_says_so(bench: CeleryBench) -> None:
    answer = bench.python(
        "result = ping_task.delay()\nresult.revoke()\n"
        "try:\n    result.get(timeout=5)\nexcept Exception as error:\n    answer = [type(error).__name__, result.state]"
    )

    assert answer == ["TaskRevokedError", "REVOKED"]


def test_environment_of_another_celery_does_not_move_ours(bench: CeleryBench) -> None:
    code = (
        "import os\nos.environ['CELERY_BROKER_URL'] = 'redis://127.0.0.1:1/9'\n"
        "os.environ['CELERY_RESULT_BACKEND'] = 'redis://127.0.0.1:1/9'\n"
        "result = ping_task.delay()\n"
        "there = app.connection_for_read()\n"
        "answer = [type(app.backend).__name__, f'{there.port}/{there.virtual_host}', result.state]"
    )

    assert bench.python(code) == ["Rows", bench.url.rpartition(":")[2], "PENDING"]
    assert bench.redis.llen("default") == 1
