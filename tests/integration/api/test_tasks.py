"""Tasks are submitted, listed, followed, stopped and tried again."""

from datetime import UTC, datetime, timedelta

import pytest

from gristmill.tasks.model import Failed, NewTask, Progress, TaskError, TaskFilter, TaskState
from tests.support.service import Service
from tests.support.tasks import new_task, new_worker

TASKS = "/api/tasks"


def add(api: Service, *tasks: NewTask) -> list[str]:
    return [task.id for task in api.app.store.add(list(tasks))]


def listed(api: Service, query: str) -> list[str]:
    return [task["id"] for task in api.data(api.get(f"{TASKS}?{query}"))["tasks"]]


def test_submitted_task_is_accepted_and_shown_whole(api: Service) -> None:
    body = {"kind": "ping", "payload": {"note": "hi"}, "priority": 7, "user_id": 4, "collection": "c"}

    response = api.post(TASKS, json=body)

    task = api.data(response)
    assert response.status_code == 202
    assert {key: task[key] for key in body} == body
    assert task["state"] == "pending"
    assert task["queue"] == "default"
    assert task["progress"] == 0
    assert task["progress_detail"] == {"stage": "", "unit": "", "done": 0, "failed": 0, "skipped": 0, "total": None}
    assert task["attempt"] == task["crash_count"] == task["lease"] == 0
    assert datetime.fromisoformat(task["created_at"]).tzinfo is not None
    assert api.data(api.get(f"{TASKS}/{task['id']}")) == task


def test_delayed_task_is_scheduled(api: Service) -> None:
    task = api.data(api.post(TASKS, json={"kind": "ping", "delay_seconds": 3600}))

    due_in = datetime.fromisoformat(task["scheduled_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < due_in < timedelta(minutes=61)


def test_progress_counts_units_and_estimates_the_rest(api: Service) -> None:
    (task_id,) = add(api, new_task())
    store = api.app.store
    store.register_worker(new_worker())
    (task,) = store.claim("worker-1", queues=["default"], kinds=["ping"])
    store.progress(task_id, task.lease, Progress(stage="embed", unit="chunks", done=5, failed=1, total=12))

    shown = api.data(api.get(f"{TASKS}/{task_id}"))

    assert shown["state"] == "processing"
    assert shown["progress"] == 50
    assert shown["progress_detail"]["stage"] == "embed"
    assert shown["eta_seconds"] >= 0
    assert shown["worker_id"] == "worker-1"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"root": "/", "source": "/etc/passwd"}, "payload_path_refused"),
        ({"source": "/etc/passwd"}, "payload_path_refused"),
        ({"source": "file:///etc/passwd"}, "url_scheme_unsupported"),
    ],
)
def test_task_that_reads_a_file_must_come_through_its_own_endpoint(
    api: Service, payload: dict[str, str], code: str
) -> None:
    response = api.post(TASKS, json={"kind": "process_document", "payload": payload})

    assert response.json()["code"] == code
    assert api.app.tasks.find(TaskFilter()) == []


def test_where_this_machine_keeps_files_is_not_shown(api: Service) -> None:
    (task_id,) = add(api, new_task(kind="process_document", payload={"root": "/srv", "source": "/srv/a.txt"}))

    assert api.data(api.get(f"{TASKS}/{task_id}"))["payload"] == {"source": "/srv/a.txt"}


def test_list_filters_by_everything_a_task_has(api: Service) -> None:
    slow, fast, other = add(
        api,
        new_task(queue="documents", collection="letters", payload={"note": "水车 100%"}),
        new_task(kind="index_document", payload={"doc_id": 1}),
        new_task(scheduled_at=2**52),
    )
    api.app.tasks.cancel_one(other)

    assert listed(api, "") == [other, fast, slow]
    assert listed(api, "state=pending") == [fast, slow]
    assert listed(api, "state=cancelled,failed") == [other]
    assert listed(api, "state=cancelled&state=pending") == [other, fast, slow]
    assert listed(api, "kind=index_document") == [fast]
    assert listed(api, "queue=documents") == [slow]
    assert listed(api, "collection=letters") == [slow]
    assert listed(api, "engine=celery") == []
    assert listed(api, "text=水车") == [slow]
    assert listed(api, "text=100%25") == [slow]
    assert listed(api, "created_before=2020-01-01T00:00:00Z") == []
    assert listed(api, "created_after=2020-01-01T00:00:00+02:00") == [other, fast, slow]


def test_list_pages_through_every_task_once(api: Service) -> None:
    ids = add(api, *(new_task() for _ in range(7)))
    seen: list[str] = []
    cursor = ""

    while True:
        page = api.data(api.get(f"{TASKS}?limit=3{cursor}"))
        seen += [task["id"] for task in page["tasks"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert seen == ids[::-1]


def test_counts_are_by_state(api: Service) -> None:
    first, _second = add(api, new_task(), new_task())
    api.app.tasks.cancel_one(first)

    assert api.data(api.get(f"{TASKS}/counts")) == {"counts": {"pending": 1, "cancelled": 1}, "total": 2}
    assert api.data(api.get(f"{TASKS}/counts?state=failed")) == {"counts": {}, "total": 0}


def test_events_tell_what_happened_and_resume_behind_a_cursor(api: Service) -> None:
    (task_id,) = add(api, new_task())
    api.post(f"{TASKS}/{task_id}/cancel")
    api.post(f"{TASKS}/{task_id}/retry")

    first = api.data(api.get(f"{TASKS}/{task_id}/events?limit=2"))
    rest = api.data(api.get(f"{TASKS}/{task_id}/events?after={first['next_after']}"))

    assert [event["name"] for event in first["events"]] == ["submitted", "cancelled"]
    assert [event["name"] for event in rest["events"]] == ["retried"]
    assert rest["next_after"] is None


def test_children_are_listed_below_their_parent(api: Service) -> None:
    (parent,) = add(api, new_task())
    children = add(api, *(new_task(parent_id=parent) for _ in range(3)))

    page = api.data(api.get(f"{TASKS}/{parent}/children?limit=2"))
    rest = api.data(api.get(f"{TASKS}/{parent}/children?cursor={page['next_cursor']}"))

    assert [task["id"] for task in (*page["tasks"], *rest["tasks"])] == children[::-1]
    assert rest["next_cursor"] is None


def test_failed_task_says_why_in_the_language_of_the_client(api: Service) -> None:
    (task_id,) = add(api, new_task())
    api.app.store.register_worker(new_worker())
    (task,) = api.app.store.claim("worker-1", queues=["default"], kinds=["ping"])
    api.app.store.finish(task_id, task.lease, Failed(error=TaskError(code="soft_limit_exceeded", facts={"seconds": 5})))

    english = api.data(api.get(f"{TASKS}/{task_id}"))["error"]
    chinese = api.data(api.get(f"{TASKS}/{task_id}", headers={"Accept-Language": "zh-CN"}))["error"]

    assert english["code"] == chinese["code"] == "soft_limit_exceeded"
    assert english["message"].startswith("The task ran longer than its limit of 5 s")
    assert chinese["message"].startswith("任务运行超过了 5 秒")


def test_retry_is_refused_while_a_task_has_not_ended(api: Service) -> None:
    (task_id,) = add(api, new_task())

    refused = api.post(f"{TASKS}/{task_id}/retry")
    api.post(f"{TASKS}/{task_id}/cancel")
    accepted = api.post(f"{TASKS}/{task_id}/retry")

    assert refused.status_code == 409
    assert refused.json()["code"] == "task_not_ended"
    assert api.data(accepted)["state"] == "pending"


def test_cancel_of_an_ended_task_changes_nothing(api: Service) -> None:
    (task_id,) = add(api, new_task())
    first = api.data(api.post(f"{TASKS}/{task_id}/cancel"))

    second = api.data(api.post(f"{TASKS}/{task_id}/cancel"))

    assert first["state"] == "cancelled"
    assert second == first


def test_priority_of_a_task_changes(api: Service) -> None:
    (task_id,) = add(api, new_task())

    assert api.data(api.patch(f"{TASKS}/{task_id}", json={"priority": 9}))["priority"] == 9


@pytest.mark.parametrize(
    ("action", "extra"),
    [("cancel", {}), ("retry", {}), ("priority", {"priority": 9})],
    ids=["cancel", "retry", "priority"],
)
def test_bulk_change_needs_a_filter_or_the_word_all(api: Service, action: str, extra: dict[str, int]) -> None:
    pending, cancelled = add(api, new_task(), new_task())
    api.app.tasks.cancel_one(cancelled)
    before = api.app.tasks.counts()

    refused = api.post(f"{TASKS}/{action}", json=extra)

    assert refused.status_code == 422
    assert refused.json()["code"] == "filter_empty"
    assert api.app.tasks.counts() == before
    assert api.data(api.post(f"{TASKS}/{action}", json={"all": True, **extra})) == {"count": 1}
    assert {api.app.tasks.get(task_id).priority for task_id in (pending, cancelled)} <= {5, 9}


def test_bulk_change_means_the_tasks_of_its_filter(api: Service) -> None:
    low, high, named = add(api, new_task(priority=1), new_task(queue="images"), new_task(queue="analysis"))

    assert api.data(api.post(f"{TASKS}/priority", json={"queue": ["images"], "priority": 8})) == {"count": 1}
    assert api.data(api.post(f"{TASKS}/cancel", json={"ids": [named], "state": "pending"})) == {"count": 1}
    assert api.data(api.post(f"{TASKS}/cancel", json={"text": "nowhere"})) == {"count": 0}

    assert [api.app.tasks.get(task_id).priority for task_id in (low, high)] == [1, 8]
    assert api.app.tasks.get(named).state is TaskState.CANCELLED


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/events"),
        ("GET", "/children"),
        ("GET", "/result"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("PATCH", ""),
    ],
)
def test_unknown_task_is_not_found(api: Service, method: str, path: str) -> None:
    response = api.call(method, f"{TASKS}/no-such-task{path}", json={"priority": 1} if method == "PATCH" else None)

    assert response.status_code == 404
    assert response.json()["code"] == "task_not_found"
    assert response.json()["task_id"] == "no-such-task"


def test_result_items_are_paged(mill: Service) -> None:
    ids = mill.register("one", "two", "three", collection="paged-result")
    task_id = mill.data(mill.post("/api/index/index-documents", json={"doc_ids": ids}))["task_id"]

    first = mill.data(mill.get(f"{TASKS}/{task_id}/result?limit=2"))
    rest = mill.data(mill.get(f"{TASKS}/{task_id}/result?offset={first['next_offset']}"))

    assert first["item_count"] == 3
    assert [item["doc_id"] for item in (*first["items"], *rest["items"])] == ids
    assert rest["next_offset"] is None
    assert not rest["expired"]
