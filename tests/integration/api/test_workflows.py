"""Workflows over HTTP: composed as JSON, seen as a whole, run again from a step; what is wrong is named by its place."""

from typing import Any

import pytest

from tests.support.service import Service


def ping(note: Any = None, **more: Any) -> dict[str, Any]:
    return {"kind": "ping", "payload": {} if note is None else {"note": note}, **more}


def submitted(service: Service, workflow: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The task of a workflow once it has ended."""
    accepted = service.post("/api/workflows", json={"workflow": workflow, **options})
    assert accepted.status_code == 202, accepted.text
    return service.ended(service.data(accepted)["id"])


def state(service: Service, task_id: str) -> dict[str, Any]:
    found: dict[str, Any] = service.data(service.get(f"/api/workflows/{task_id}"))
    return found


def test_results_flow_through_a_workflow_and_all_of_it_is_seen(mill: Service) -> None:
    previous = {"$previous": "note"}
    work = {"chain": [ping("one"), {"group": [ping(previous), ping("two")]}, ping({"$previous": "0.note"})]}

    task = submitted(mill, work, priority=7, collection="composed")

    assert task["state"] == "completed"
    seen = state(mill, task["id"])
    assert (seen["steps"], seen["progress"], seen["counts"], seen["on_failure"]) == (4, 100, {"completed": 4}, "stop")
    assert [part["form"] for part in seen["root"]["parts"]] == ["step", "group", "step"]
    last = mill.data(mill.get(f"/api/tasks/{seen['root']['parts'][-1]['task_id']}"))
    assert (last["result"], last["priority"], last["collection"]) == ({"note": "one"}, 7, "composed")


def test_chord_is_a_group_and_its_body(mill: Service) -> None:
    work = {"chord": {"group": [ping("a"), ping("b")], "body": ping({"$previous": "1.note"})}}

    task = submitted(mill, work)

    body = state(mill, task["id"])["root"]["parts"][1]["task_id"]
    assert mill.data(mill.get(f"/api/tasks/{body}"))["result"] == {"note": "b"}


def test_policy_decides_what_a_failure_means(mill: Service) -> None:
    work = {
        "chain": [
            ping("kept", compensate=ping({"$previous": "note"})),
            {"kind": "delete_index", "payload": {"doc_id": 987654}},
            ping(),
        ]
    }

    stopped, went_on, undone = (
        submitted(mill, work, on_failure=policy) for policy in ("stop", "continue", "compensate")
    )

    assert [task["state"] for task in (stopped, went_on, undone)] == ["failed", "completed", "failed"]
    assert stopped["error"]["code"] == "workflow_part_failed"
    assert went_on["result"]["failed"] == 1
    assert state(mill, stopped["id"])["counts"] == {"completed": 1, "failed": 1}
    children = mill.data(mill.get(f"/api/tasks/{undone['id']}/children"))["tasks"]
    assert [child["kind"] for child in children if child["payload"].get("undoes")] == ["workflow"]


def test_workflow_is_run_again_from_a_step(mill: Service) -> None:
    first = submitted(mill, {"chain": [ping("one"), ping({"$previous": "note"}), ping("three")]})

    accepted = mill.post(f"/api/workflows/{first['id']}/rerun", json={"from_step": 2})
    again = mill.ended(mill.data(accepted)["id"])

    assert (accepted.status_code, again["state"]) == (202, "completed")
    parts = state(mill, again["id"])["root"]["parts"]
    assert len(parts) == 2
    assert mill.data(mill.get(f"/api/tasks/{parts[0]['task_id']}"))["result"] == {"note": "one"}
    too_far = mill.post(f"/api/workflows/{first['id']}/rerun", json={"from_step": 4})
    assert (too_far.status_code, too_far.json()["code"]) == (422, "workflow_step_unknown")


def test_same_request_twice_is_one_workflow(used: Service) -> None:
    headers = {"Idempotency-Key": "compose once"}
    one, two = (
        used.post("/api/workflows", json={"workflow": {"chain": [ping("x")]}}, headers=headers) for _ in range(2)
    )
    other = used.post("/api/workflows", json={"workflow": {"chain": [ping("y")]}}, headers=headers)

    assert used.data(one)["id"] == used.data(two)["id"]
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("workflow", "code", "words"),
    [
        ({}, "workflow_node_invalid", "workflow"),
        ({"chain": "x"}, "workflow_node_invalid", "workflow"),
        ({"chain": []}, "workflow_empty", "workflow.chain"),
        ({"chain": [ping(), {"group": [ping(), {"nope": 1}]}]}, "workflow_node_invalid", "workflow.chain[1].group[1]"),
        ({"kind": "nothing"}, "kind_unknown", "nothing"),
        ({"chain": [{"kind": "ping", "payload": {"seconds": "x"}}]}, "payload_field_type", "seconds"),
        ({"chain": [{"kind": "index_document"}]}, "payload_field_missing", "doc_id"),
        (ping({"$previous": ""}), "workflow_without_previous", "workflow"),
        (
            {"chain": [ping(), ping({"$result": {"task": "x", "path": ""}})]},
            "workflow_reference_bound",
            "chain[1].payload",
        ),
    ],
)
def test_what_is_wrong_with_a_workflow_is_named(used: Service, workflow: dict[str, Any], code: str, words: str) -> None:
    refused = used.post("/api/workflows", json={"workflow": workflow})

    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert words in refused.json()["message"]


@pytest.mark.parametrize("address", ["/api/workflows", "/api/tasks"])
def test_file_that_a_client_may_not_name_is_refused_wherever_it_stands(used: Service, address: str) -> None:
    steal = {"kind": "process_document", "payload": {"source": "/etc/passwd", "root": "/"}}
    for work in ({"chain": [steal]}, {"chain": [ping(), {"group": [steal]}]}, ping(compensate=steal)):
        body = {"workflow": work} if address == "/api/workflows" else {"kind": "workflow", "payload": {"tree": work}}
        refused = used.post(address, json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "payload_path_refused"), work


def test_workflow_that_hides_in_a_step_is_refused(used: Service) -> None:
    steal = {"kind": "process_document", "payload": {"source": "/etc/passwd", "root": "/"}}
    hidden = {"kind": "workflow", "payload": {"tree": {"chain": [steal]}}}

    answers = [
        used.post("/api/workflows", json={"workflow": {"chain": [hidden]}}),
        used.post("/api/tasks", json={"kind": "workflow", "payload": {"tree": {"chain": [hidden]}}}),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(422, "workflow_in_step")] * 2


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({}, "workflow_node_invalid"),
        ({"tree": "x"}, "workflow_node_invalid"),
        ({"tree": {"packed": "eA=="}}, "workflow_node_invalid"),
        ({"tree": ping(), "undoes": "x"}, "payload_field_unknown"),
        ({"tree": ping(), "on_failure": "perhaps"}, "field_not_a_choice"),
        ({"tree": ping(), "on_failure": ["stop"]}, "field_not_a_choice"),
    ],
)
def test_workflow_submitted_as_a_task_is_checked_too(used: Service, payload: dict[str, Any], code: str) -> None:
    refused = used.post("/api/tasks", json={"kind": "workflow", "payload": payload})

    assert (refused.status_code, refused.json()["code"]) == (422, code)


def test_payload_that_is_nested_too_deeply_is_refused(used: Service) -> None:
    for depth in (150, 450, 800):
        value = '{"x":' * depth + "1" + "}" * depth
        body = f'{{"workflow":{{"chain":[{{"kind":"ping"}},{{"kind":"ping","payload":{{"note":{value}}}}}]}}}}'
        refused = used.post("/api/workflows", data=body, headers={"Content-Type": "application/json"})
        assert (refused.status_code, refused.json()["code"]) == (422, "workflow_payload_too_deep"), depth


def test_key_that_may_only_read_looks_and_changes_nothing(api: Service) -> None:
    task = api.data(api.post("/api/workflows", json={"workflow": ping("x")}))
    headers = {"X-API-Key": api.app.keys.create("reader", "read")[1]}

    looked = api.get(f"/api/workflows/{task['id']}", headers=headers)
    submitted_by_it = api.post("/api/workflows", json={"workflow": ping("x")}, headers=headers)
    rerun_by_it = api.post(f"/api/workflows/{task['id']}/rerun", json={"from_step": 1}, headers=headers)

    assert looked.ok
    assert [(answer.status_code, answer.json()["code"]) for answer in (submitted_by_it, rerun_by_it)] == [
        (403, "scope_missing")
    ] * 2


def test_rerun_is_refused_where_nothing_has_completed_and_repeats_itself_under_one_key(api: Service) -> None:
    task = api.data(api.post("/api/workflows", json={"workflow": {"chain": [ping("x"), ping("y")]}}))
    address, headers = f"/api/workflows/{task['id']}/rerun", {"Idempotency-Key": "again"}

    early = api.post(address, json={"from_step": 2})
    one, two = (api.post(address, json={"from_step": 1}, headers=headers) for _ in range(2))

    assert (early.status_code, early.json()["code"]) == (409, "workflow_step_not_completed")
    assert api.data(one)["id"] == api.data(two)["id"] != task["id"]


def test_workflow_that_was_not_started_is_shown_whole(api: Service) -> None:
    work = {"chain": [ping("x"), {"group": [ping(), ping()]}]}
    task = api.data(api.post("/api/workflows", json={"workflow": work, "delay_seconds": 99}))

    seen = state(api, task["id"])

    assert task["payload"] == {"tree": work, "on_failure": "stop"}
    assert (seen["steps"], seen["progress"], seen["counts"]) == (3, 0, {})
    assert [(part["form"], part["task_id"], part["state"]) for part in seen["root"]["parts"]] == [
        ("step", None, None),
        ("group", None, None),
    ]
    assert [part["kind"] for part in seen["root"]["parts"][1]["parts"]] == ["ping", "ping"]


def test_task_that_is_no_workflow_is_said_so(used: Service) -> None:
    task = used.data(used.post("/api/tasks", json=ping()))

    missing, other = used.get("/api/workflows/none"), used.get(f"/api/workflows/{task['id']}")

    assert [(answer.status_code, answer.json()["code"]) for answer in (missing, other)] == [
        (404, "task_not_found"),
        (404, "workflow_not_found"),
    ]


def test_refusal_is_told_in_chinese(used: Service) -> None:
    refused = used.post("/api/workflows", json={"workflow": {"group": []}}, headers={"Accept-Language": "zh"})

    assert "为空" in refused.json()["message"]
