"""Schedules over HTTP: made, looked at, changed, paused, run, removed, and carried out by a real worker."""

from pathlib import Path
from typing import Any

import pytest

from gristmill.tasks.model import TaskFilter
from tests.support.service import Service
from tests.support.waiting import eventually

NIGHTLY: dict[str, Any] = {
    "name": "nightly",
    "cron": "0 3 * * *",
    "timezone": "Europe/Berlin",
    "kind": "ping",
    "payload": {"note": "good night"},
}


def made(api: Service, **changes: Any) -> Any:
    response = api.post("/api/schedules", json={**NIGHTLY, **changes})
    assert response.status_code == 201, response.text
    return api.data(response)


def texts(mill: Service, collection: str, query: str) -> set[str]:
    found = mill.post("/api/search", json={"query": query, "collection": collection, "mode": "keyword"})
    return {hit["document"]["name"] for hit in found.json().get("data", {}).get("hits", [])}


def test_folder_is_indexed_on_an_interval_and_a_changed_file_by_the_next_tick(mill: Service, library: Path) -> None:
    folder = library / "granary"
    folder.mkdir()
    (folder / "rye.md").write_text("Rye was ground in the morning.", "utf-8")
    schedule = made(
        mill,
        name="granary",
        cron=None,
        timezone=None,
        every=1,
        kind="index_source",
        payload={"source": str(folder), "collection": "granary", "prune": True},
    )
    path = f"/api/schedules/{schedule['id']}"
    try:
        eventually(lambda: texts(mill, "granary", "rye") == {"rye.md"}, 40)
        (folder / "rye.md").write_text("Barley was ground in the afternoon.", "utf-8")
        (folder / "oats.md").write_text("Barley and oats, 大麦和燕麦.", "utf-8")
        eventually(lambda: texts(mill, "granary", "barley") == {"rye.md", "oats.md"}, 40)
        (folder / "rye.md").unlink()
        eventually(lambda: texts(mill, "granary", "barley") == {"oats.md"}, 40)
    finally:
        mill.post(f"{path}/pause")

    view = mill.data(mill.get(path))
    task = mill.ended(view["last_task"]["id"])
    assert view["fired"] >= 3
    assert (view["paused"], view["next_tick_at"], view["next_ticks"]) == (True, None, [])
    assert view["collection"] == task["collection"] == "granary"
    # Where this machine keeps its files is no business of clients.
    assert view["payload"] == {"source": str(folder), "collection": "granary", "prune": True}
    assert mill.data(mill.delete(path))["name"] == "granary"


def test_schedule_is_made_and_shown_with_its_next_ticks(api: Service) -> None:
    view = made(api)

    again = api.data(api.get("/api/schedules/nightly"))

    assert again == view
    assert api.data(api.get(f"/api/schedules/{view['id']}")) == view
    assert api.data(api.get("/api/schedules"))["schedules"] == [view]
    assert (view["cron"], view["timezone"], view["every_seconds"]) == ("0 3 * * *", "Europe/Berlin", None)
    assert (view["misfire"], view["overlap"], view["paused"]) == ("once", "skip", False)
    assert (view["last_task"], view["last_tick_at"], view["error"]) == (None, None, None)
    assert (view["fired"], view["skipped"], view["missed"]) == (0, 0, 0)
    assert view["next_tick_at"] == view["next_ticks"][0]
    assert len(view["next_ticks"]) == 5
    assert {tick[11:16] for tick in view["next_ticks"]} <= {"01:00", "02:00"}


@pytest.mark.parametrize(("every", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86_400), (45, 45)])
def test_interval_is_written_as_people_say_it(api: Service, every: object, seconds: int) -> None:
    view = made(api, cron=None, timezone=None, every=every)

    assert (view["every_seconds"], view["cron"], view["timezone"]) == (seconds, None, None)


def test_schedule_is_changed_paused_resumed_and_removed(api: Service) -> None:
    made(api)

    changed = api.patch("/api/schedules/nightly", json={"cron": "0 4 * * *", "priority": 9, "payload": {"note": "new"}})
    paused = api.data(api.post("/api/schedules/nightly/pause"))
    resumed = api.data(api.post("/api/schedules/nightly/resume"))
    removed = api.delete("/api/schedules/nightly")

    view = api.data(changed)
    assert changed.json()["message"] == "Changed the schedule nightly"
    assert (view["cron"], view["timezone"], view["priority"], view["payload"]) == (
        "0 4 * * *",
        "Europe/Berlin",
        9,
        {"note": "new"},
    )
    assert (paused["paused"], paused["next_tick_at"]) == (True, None)
    assert (resumed["paused"], resumed["next_ticks"]) == (False, view["next_ticks"])
    assert removed.json()["message"] == "Removed the schedule nightly"
    missing = api.get("/api/schedules/nightly", headers={"Accept-Language": "zh"})
    assert (missing.status_code, missing.json()["code"]) == (404, "schedule_not_found")
    assert "nightly" in missing.json()["message"]


def test_schedule_runs_now_and_a_repeated_request_is_the_same_task(api: Service) -> None:
    made(api, paused=True)

    first, again = (api.post("/api/schedules/nightly/run", headers={"Idempotency-Key": "tonight"}) for _ in range(2))
    other = api.post("/api/schedules/nightly/run")

    task = first.json()["data"]
    view = api.data(api.get("/api/schedules/nightly"))
    assert (first.status_code, again.json()["data"]["id"]) == (202, task["id"])
    assert (task["kind"], task["payload"], task["state"]) == ("ping", {"note": "good night"}, "pending")
    assert view["last_task"]["id"] == other.json()["data"]["id"] != task["id"]
    assert view["last_task"]["state"] == "pending"
    assert (view["fired"], view["next_tick_at"]) == (0, None)
    assert len(api.app.tasks.find(TaskFilter())) == 2


BAD: list[tuple[dict[str, Any], int, str, str]] = [
    ({"cron": None}, 422, "schedule_rule_not_one", "cron"),
    ({"every": "1d"}, 422, "schedule_rule_not_one", "every"),
    ({"cron": "61 * * * *"}, 422, "cron_field_invalid", "61"),
    ({"cron": "0 3 * *"}, 422, "cron_fields_not_five", "0 3 * *"),
    ({"cron": "0 0 31 6 *"}, 422, "cron_never", "0 0 31 6 *"),
    ({"timezone": "Europe/Atlantis"}, 422, "timezone_unknown", "Europe/Atlantis"),
    ({"cron": None, "timezone": None, "every": 0}, 422, "interval_invalid", "0"),
    ({"cron": None, "timezone": None, "every": "soon"}, 422, "interval_invalid", "soon"),
    ({"cron": None, "timezone": None, "every": True}, 422, "field_not_text", "every"),
    ({"cron": None, "every": "1d"}, 422, "timezone_without_cron", "Europe/Berlin"),
    ({"name": "a/b"}, 422, "schedule_name_invalid", "a/b"),
    ({"kind": "grind"}, 422, "kind_unknown", "grind"),
    ({"payload": {"notes": ""}}, 422, "payload_field_unknown", "notes"),
    ({"payload": {"note": 7}}, 422, "payload_field_type", "7"),
    ({"payload": []}, 422, "field_not_object", "payload"),
    ({"priority": 11}, 422, "field_out_of_range", "11"),
    ({"misfire": "twice"}, 422, "field_not_a_choice", "twice"),
    ({"overlap": "often"}, 422, "field_not_a_choice", "often"),
    ({"jitter": 3}, 422, "field_unknown", "jitter"),
    ({"kind": "index_source", "payload": {"source": "/etc"}}, 403, "path_outside_roots", "etc"),
    ({"kind": "index_source", "payload": {"source": "/etc/passwd"}}, 403, "path_outside_roots", "passwd"),
    ({"kind": "index_source", "payload": {"source": "docs"}}, 422, "path_not_absolute", "docs"),
    ({"kind": "index_source", "payload": {"source": "/etc", "root": "/"}}, 403, "schedule_path_refused", "root"),
    ({"kind": "index_source", "payload": {"source": "file:///etc/passwd"}}, 422, "url_scheme_unsupported", "file"),
    ({"kind": "index_source", "payload": {"source": 5}}, 422, "payload_field_type", "5"),
    ({"kind": "process_document", "payload": {"source": "/etc/passwd"}}, 403, "path_outside_roots", "passwd"),
]


@pytest.mark.parametrize(("changes", "status", "code", "named"), BAD, ids=[f"{bad[2]}-{bad[3]}" for bad in BAD])
def test_schedule_that_cannot_work_is_refused_in_the_language_of_the_client(
    api: Service, changes: dict[str, Any], status: int, code: str, named: str
) -> None:
    kept = made(api, name="kept")

    for language in ("en", "zh"):
        headers = {"Accept-Language": language}
        refused = api.post("/api/schedules", json={**NIGHTLY, **changes}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
        assert named in refused.json()["message"]
        assert "{" not in refused.json()["message"]

    assert api.data(api.get("/api/schedules"))["schedules"] == [kept]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"cron": "x"}, 422, "cron_fields_not_five"),
        ({"every": "0s"}, 422, "interval_invalid"),
        ({"every": "5m", "cron": "@daily"}, 422, "schedule_rule_not_one"),
        ({"timezone": "nowhere"}, 422, "timezone_unknown"),
        ({"kind": "index_source"}, 422, "payload_field_unknown"),
        ({"payload": {"source": "/etc/passwd"}}, 403, "payload_path_refused"),
        ({"kind": "index_source", "payload": {"source": "/etc"}}, 403, "path_outside_roots"),
        ({"payload": {"root": "/"}}, 403, "schedule_path_refused"),
        ({"name": "other"}, 409, "schedule_exists"),
        ({"paused": True}, 422, "field_unknown"),
    ],
)
def test_change_that_cannot_work_changes_nothing(api: Service, changes: dict[str, Any], status: int, code: str) -> None:
    made(api, name="other")
    view = made(api)

    refused = api.patch("/api/schedules/nightly", json=changes)

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert api.data(api.get("/api/schedules/nightly")) == view


def test_path_that_a_schedule_may_name_keeps_its_root_to_itself(api: Service, library: Path) -> None:
    whole = made(api, name="whole", kind="index_source", payload={"source": str(library)})
    file = made(api, name="file", kind="process_document", payload={"source": str(library / "mill.txt")})

    folder = api.post(
        "/api/schedules", json={**NIGHTLY, "kind": "process_document", "payload": {"source": str(library)}}
    )

    assert whole["payload"] == {"source": str(library)}
    assert file["payload"] == {"source": str(library / "mill.txt")}
    assert api.app.schedules.get("whole").payload["root"] == str(library)
    # Only what walks through folders may be told to.
    assert folder.json()["code"] in ("path_not_regular", "path_outside_roots")
    # Nobody names one past the roots by submitting the task itself.
    task = api.post("/api/tasks", json={"kind": "index_source", "payload": {"source": str(library)}})
    assert task.json()["code"] == "payload_path_refused"


def test_signed_address_is_shown_without_its_signature(api: Service) -> None:
    signed = "https://files.example/report.pdf?signature=0123abcd"

    view = made(api, kind="index_source", payload={"source": signed})

    assert view["payload"]["source"] == "https://files.example/report.pdf?***"
    assert "0123abcd" not in api.get("/api/schedules").text


def test_workflow_recurs_and_names_no_path_either(api: Service) -> None:
    steps = [{"kind": "ping"}, {"kind": "ping", "payload": {"note": "after that"}}]
    secret = [{"kind": "process_document", "payload": {"source": "/etc/passwd", "root": "/"}}]

    view = made(api, kind="workflow", payload={"tree": {"chain": steps}})
    task = api.data(api.post("/api/schedules/nightly/run"))
    refused = [
        api.post("/api/schedules", json={**NIGHTLY, "kind": "workflow", "payload": {"tree": {"chain": secret}}}),
        api.patch("/api/schedules/nightly", json={"payload": {"tree": {"chain": secret}}}),
    ]

    assert (task["kind"], task["payload"]["tree"]) == ("workflow", view["payload"]["tree"])
    assert [answer.json()["code"] for answer in refused] == ["payload_path_refused"] * 2
