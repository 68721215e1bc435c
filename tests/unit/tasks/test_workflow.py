"""Workflows as values and as JSON: what is read, what is refused and where, what undoes what."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.canvas import TaskKind, chain, chord, group, kind, previous
from gristmill.errors import InvalidInput
from gristmill.kinds import KINDS
from gristmill.messages import LANGUAGES
from gristmill.tasks.references import open_fields, part_id
from gristmill.tasks.workflow import (
    Chain,
    Group,
    Node,
    Step,
    bind,
    compensation,
    count_steps,
    from_json,
    from_stored,
    payloads_of,
    to_json,
    to_stored,
)

ping, index, delete = kind("ping"), kind("index_document"), kind("delete_index")
TASK = "0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10"
WHOLE = previous()
WORD: Any = "ping"


def step(name: str = "ping", **payload: Any) -> dict[str, Any]:
    return {"kind": name, "payload": payload}


def refused(value: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        from_json(value, KINDS)
    return caught.value


def test_json_is_read_as_it_is_meant() -> None:
    read = from_json(
        {
            "chain": [
                {"kind": "ping"},
                {"group": [step(note="a"), {"chain": [step(note="b"), step(note="c")]}]},
                {"chord": {"group": [step(), step()], "body": step(note="d")}},
                {"kind": "index_document", "payload": {"doc_id": 1}, "compensate": step("delete_index", doc_id=1)},
            ]
        },
        KINDS,
    )

    assert read == chain(
        ping.s(),
        group(ping.s("a"), chain(ping.s("b"), ping.s("c"))),
        chord([ping.s(), ping.s()], ping.s("d")),
        index.s(1).compensated_by(delete.s(1)),
    )
    assert count_steps(read) == 8
    assert len(list(payloads_of(read))) == 9


def test_single_step_is_a_chain_of_one() -> None:
    assert from_json(step(note="x"), KINDS) == Chain((ping.s("x"),))


def test_reading_what_was_read_changes_nothing() -> None:
    read = from_json({"chain": [step(), step("delete_index"), {"kind": "ping", "payload": None}]}, KINDS)

    assert from_json(to_json(read), KINDS) == read


@pytest.mark.parametrize(
    ("value", "code", "place"),
    [
        (None, "workflow_node_invalid", "workflow"),
        ("ping", "workflow_node_invalid", "workflow"),
        ({}, "workflow_node_invalid", "workflow"),
        ({"chain": step()}, "workflow_node_invalid", "workflow"),
        ({"chain": [step()], "group": [step()]}, "workflow_node_invalid", "workflow"),
        ({"chain": [step()], "body": step()}, "workflow_node_invalid", "workflow"),
        ({"chord": {"group": [step()]}}, "workflow_node_invalid", "workflow"),
        ({"chord": {"group": [step()], "body": step(), "x": 1}}, "workflow_node_invalid", "workflow"),
        ({"chord": {"group": [step()], "body": None}}, "workflow_node_invalid", "workflow.chord.body"),
        ({"chain": [step(), 1]}, "workflow_node_invalid", "workflow.chain[1]"),
        ({"chain": [{"kind": 1}]}, "workflow_node_invalid", "workflow.chain[0]"),
        ({"chain": [{"kind": "ping", "payloads": {}}]}, "workflow_node_invalid", "workflow.chain[0]"),
        ({"chain": [{"kind": "ping", "payload": []}]}, "workflow_node_invalid", "workflow.chain[0].payload"),
        ({"kind": "ping", "compensate": {"chain": [step()]}}, "workflow_node_invalid", "workflow.compensate"),
        ({"kind": "ping", "compensate": 0}, "workflow_node_invalid", "workflow.compensate"),
        (
            {"kind": "ping", "compensate": {**step(), "compensate": step()}},
            "workflow_node_invalid",
            "workflow.compensate",
        ),
        ({"chain": []}, "workflow_empty", "workflow.chain"),
        ({"group": [step(), {"group": []}]}, "workflow_empty", "workflow.group[1].group"),
        ({"chord": {"group": [], "body": step()}}, "workflow_empty", "workflow.chord.group"),
        ({"group": [step("nothing")]}, "kind_unknown", "workflow.group[0].kind"),
        ({"group": [step("workflow", tree={"chain": [step()]})]}, "workflow_in_step", "workflow.group[0]"),
        (step(seconds="x"), "payload_field_type", "workflow.payload.seconds"),
        ({"chain": [step(), step(tempo=1)]}, "payload_field_unknown", "workflow.chain[1].payload.tempo"),
        (step("index_document"), "payload_field_missing", "workflow.payload.doc_id"),
        ({"kind": "ping", "compensate": step(note=1)}, "payload_field_type", "workflow.compensate.payload.note"),
        (step(undecodable="x"), "payload_undecodable", "workflow.payload"),
        (step(note=WHOLE), "workflow_without_previous", "workflow.payload"),
        ({"chain": [step(note=WHOLE), step()]}, "workflow_without_previous", "workflow.chain[0].payload"),
        ({"group": [step(), step(note=WHOLE)]}, "workflow_without_previous", "workflow.group[1].payload"),
        (
            {"chain": [step(), step(note={"$result": {"task": TASK, "path": ""}})]},
            "workflow_reference_bound",
            "workflow.chain[1].payload",
        ),
        (
            {"chain": [step(), step(note=[{"x": {"$result": {}}}])]},
            "workflow_reference_bound",
            "workflow.chain[1].payload",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(value: Any, code: str, place: str) -> None:
    error = refused(value)

    assert (error.code, error.facts["field"]) == (code, place)
    if code not in {"kind_unknown", "payload_undecodable"}:
        assert all(place in error.message(language) for language in LANGUAGES)


def test_refusal_is_told_in_both_languages() -> None:
    error = refused({"chain": [step(), {"group": []}]})

    assert error.message("en") == "workflow.chain[1].group is empty. Put at least one step into it."
    assert error.message("zh") == "workflow.chain[1].group 为空。请至少放入一个步骤。"


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = step()
    for _ in range(depth):
        value = {"group": [value]}
    return value


def test_depth_is_bounded() -> None:
    assert count_steps(from_json(nested(19), KINDS)) == 1

    error = refused(nested(20))

    assert (error.code, error.facts["maximum"]) == ("workflow_too_deep", 20)
    assert str(error.facts["field"]) == "workflow" + 20 * ".group[0]"
    assert refused(nested(900)).code == "workflow_too_deep"


def test_depth_of_payloads_is_bounded() -> None:
    value: Any = 1
    for _ in range(400):
        value = {"x": [value]}

    error = refused({"chain": [step(), step(note=value)]})

    assert (error.code, error.facts["field"]) == ("workflow_payload_too_deep", "workflow.chain[1].payload")


def test_number_of_steps_is_bounded() -> None:
    assert count_steps(from_json({"chain": [step()] * 1_000}, KINDS)) == 1_000
    assert count_steps(from_json({"group": [{"group": [step()] * 25_000}] * 2}, KINDS)) == 50_000

    long, large = refused({"group": [{"chain": [step()] * 1_001}]}), refused({"group": [step()] * 50_001})

    assert (long.code, long.facts["field"], long.facts["maximum"]) == (
        "workflow_too_large",
        "workflow.group[0].chain",
        1_000,
    )
    assert (large.code, large.facts["count"], large.facts["maximum"]) == ("workflow_too_large", 50_001, 50_000)


def test_step_that_lacks_an_argument_gets_what_the_step_before_returned() -> None:
    read = from_json({"chain": [step(), step("index_document"), step("index_document", doc_id=2), step()]}, KINDS)

    assert isinstance(read, Chain)
    payloads = [dict(part.payload) for part in read.steps if isinstance(part, Step)]
    assert payloads == [{}, {"doc_id": WHOLE}, {"doc_id": 2}, {}]


def test_member_of_a_group_gets_what_the_step_before_the_group_returned() -> None:
    read = from_json(
        {"chain": [step(), {"group": [step("delete_index"), {"chain": [step("delete_index"), step("delete_index")]}]}]},
        KINDS,
    )

    assert read == chain(ping.s(), group(delete.s(WHOLE), chain(delete.s(WHOLE), delete.s(WHOLE))))


def test_body_of_a_chord_gets_what_its_members_returned() -> None:
    assert from_json({"chord": {"group": [step()], "body": step("delete_index")}}, KINDS) == chain(
        group(ping.s()), delete.s(WHOLE)
    )


def test_what_undoes_a_step_gets_what_the_step_returned() -> None:
    read = from_json({"kind": "ping", "compensate": {"kind": "delete_index"}}, KINDS)

    assert read == chain(ping.s().compensated_by(delete.s(WHOLE)))


def test_field_whose_value_is_not_known_yet_is_not_checked_yet() -> None:
    paths = {"doc_id": previous("a.0.b"), "force": {"$previous": ""}}

    read = from_json({"chain": [step(), step("index_document", **paths)]}, KINDS)

    assert read == chain(ping.s(), Step(kind="index_document", payload=paths))
    assert open_fields(paths) == {"doc_id", "force"}
    assert open_fields({"plain": 1, "deep": [{"x": WHOLE}], "almost": {"$previous": "", "x": 1}}) == {"deep"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PAYLOADS = st.dictionaries(st.text(max_size=5), JSON, max_size=3)
STEPS = st.builds(
    Step,
    kind=st.sampled_from(sorted(KINDS)),
    payload=PAYLOADS,
    compensate=st.none() | st.builds(Step, kind=st.just("ping"), payload=PAYLOADS),
)
TREES: st.SearchStrategy[Node] = st.recursive(
    STEPS,
    lambda inner: (
        st.builds(Chain, st.lists(inner, min_size=1, max_size=4).map(tuple))
        | st.builds(Group, st.lists(inner, min_size=1, max_size=4).map(tuple))
    ),
    max_leaves=12,
)


@given(TREES, st.booleans())
def test_what_is_stored_is_read_back(tree: Node, readable: bool) -> None:  # noqa: FBT001 - a value like any other
    row = json.loads(json.dumps(to_stored(tree, readable=readable)))

    assert from_stored(row) == tree


def test_small_workflow_is_stored_as_it_was_written_and_a_large_one_packed() -> None:
    small = group(*(ping.s(str(number)) for number in range(10)))
    large = group(*(ping.s(str(number)) for number in range(10_000)))

    assert to_stored(small, readable=True) == to_json(small)
    packed = to_stored(large, readable=True)
    assert packed.keys() == {"packed"}
    assert len(json.dumps(packed)) < len(json.dumps(to_json(large))) / 5
    # What a composed task is given must not be taken for what refers to something.
    assert open_fields({"tree": to_stored(bind(group(ping.s(WHOLE)), TASK))}) == set()


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"chain": 1},
        {"chain": []},
        {"group": [{}]},
        {"kind": "ping"},
        {"kind": "ping", "payload": 1},
        {"packed": "§"},
        {"packed": "eA=="},
        {"packed": 1},
    ],
)
def test_what_was_never_stored_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        from_stored(value)

    assert caught.value.code == "workflow_node_invalid"


def test_bind_names_the_task_that_came_before() -> None:
    result = {"$result": {"task": TASK, "path": "a"}}

    assert bind(ping.s(previous("a")), TASK) == ping.s(result)
    assert bind(ping.s([{"x": previous("a")}, 1]), TASK) == ping.s([{"x": result}, 1])
    assert bind(group(ping.s(previous("a")), ping.s("b")), TASK) == group(ping.s(result), ping.s("b"))
    # Of a chain only the first step follows it.
    assert bind(chain(ping.s(previous("a")), ping.s(previous("a"))), TASK) == chain(
        ping.s(result), ping.s(previous("a"))
    )


def undone(note: str) -> Step:
    return ping.s(note).compensated_by(ping.s(note=previous("note")))


def test_what_came_last_is_undone_first() -> None:
    work = chain(undone("a"), ping.s("nothing undoes it"), group(undone("b"), undone("c")), undone("d"))

    undo = compensation(work, TASK, part_id)

    def of(task_id: str) -> Step:
        return ping.s(note={"$result": {"task": task_id, "path": "note"}})

    members = part_id(TASK, 2)
    assert undo == chain(
        of(part_id(TASK, 3)),
        group(of(part_id(members, 0)), of(part_id(members, 1))),
        of(part_id(TASK, 0)),
    )


def test_nothing_is_undone_where_nothing_says_how() -> None:
    assert compensation(chain(ping.s(), group(ping.s())), TASK, part_id) is None
    assert compensation(ping.s(), TASK, part_id) is None


def test_canvas_reads_like_what_people_know() -> None:
    a, b, c, d = (ping.s(note) for note in "abcd")

    assert a | b | c == chain(a, b, c) == Chain((a, b, c))
    assert (a | b) | (c | d) == chain(a, b, c, d)
    assert a | group(b, c) | d == chain(a, group(b, c), d)
    assert group([a, b]) | c == chord([a, b], c) == chord(group(a, b), c)
    assert group(note for note in (a, b)) == group(a, b) == Group((a, b))
    assert chain([a, b]) == chain(a, b)
    assert index.s(1, force=True) == Step(kind="index_document", payload={"doc_id": 1, "force": True})
    assert TaskKind(KINDS["ping"]).s() == ping.s() == kind(KINDS["ping"]).s()


@pytest.mark.parametrize("other", [1, "x", None, {"kind": "ping"}])
def test_only_a_part_of_a_workflow_can_follow_another(other: Any) -> None:
    with pytest.raises(TypeError):
        ping.s() | other


@pytest.mark.parametrize(
    ("make", "code", "facts"),
    [
        (lambda: kind("nothing"), "kind_unknown", {"kind": "nothing"}),
        (lambda: ping.s(1, 2, 3), "workflow_arguments_surplus", {"kind": "ping", "count": 3, "known": "note, seconds"}),
        (lambda: ping.s("x", note="y"), "workflow_argument_twice", {"kind": "ping", "field": "note"}),
        (lambda: chain(ping.s(), WORD), "workflow_node_invalid", {"field": "chain[1]", "value": "'ping'"}),
        (lambda: group([ping.s(), WORD]), "workflow_node_invalid", {"field": "group[1]", "value": "'ping'"}),
        (lambda: group(WORD), "workflow_node_invalid", {"field": "group[0]", "value": "'p'"}),
        (lambda: chord([ping.s()], WORD), "workflow_node_invalid", {"field": "chain[1]", "value": "'ping'"}),
    ],
)
def test_canvas_refuses_what_is_no_part_of_a_workflow(make: Any, code: str, facts: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        make()

    assert caught.value.code == code
    assert facts.items() <= caught.value.facts.items()
    assert all(caught.value.message(language) for language in LANGUAGES)
