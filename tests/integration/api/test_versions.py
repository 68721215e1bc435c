"""Documents and whole collections go back to what they were, and forward again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.tasks.context import RunContext
from gristmill.tasks.model import Outcome, Task
from gristmill.tasks.runner import Runner
from gristmill.worker.build import build_handlers
from tests.support.postgres import fresh_database
from tests.support.service import Service, serving, working
from tests.support.tasks import WORKER, new_worker
from tests.support.waiting import eventually

INDEX = "/api/index/index-documents"
RYE = "The miller grinds rye every morning.\n\n水车缓缓转动。"
OATS = "The miller grinds oats every morning.\n\n水车飞快转动。"
BARLEY = "The miller grinds barley every morning.\n\n水车停了。"
WORDS = ("rye", "oats", "barley")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An API with a live worker on each database, and small chunks; each test uses a collection of its own."""
    data = tmp_path_factory.mktemp("desk")
    settings = ["[index]", "chunk_size = 100", "chunk_overlap = 0"]
    if request.param == "postgres":
        settings += ["[database]", f"url = {json.dumps(fresh_database())}"]
    (data / "gristmill.toml").write_text("\n".join(settings), "utf-8")
    with serving(data) as service, working(data):
        eventually(lambda: service.get("/health/ready").ok, seconds=30)
        yield service


def upload(service: Service, collection: str, text: str, name: str = "note.txt") -> int:
    files = {"file": (name, text.encode())}
    data = service.data(service.post("/api/documents", files=files, data={"collection": collection}))
    return int(data["documents"][0]["id"])


def index(service: Service, document_id: int, **options: Any) -> dict[str, Any]:
    """What indexing the document came to."""
    data = service.data(service.post(INDEX, json={"doc_ids": [document_id], **options}))
    detail: dict[str, Any] = data["details"][0]
    return detail


def write(service: Service, collection: str, *texts: str) -> int:
    """A document with a version for each text."""
    for text in texts:
        document_id = upload(service, collection, text)
        assert index(service, document_id)["status"] == "completed"
    return document_id


def found(service: Service, collection: str) -> list[str]:
    """Which of the words are found, by words and by meaning alike."""
    by_words = [
        word
        for word in WORDS
        if any(word in hit["chunk"]["text"] for hit in hits(service, collection, word, "keyword"))
    ]
    by_meaning = hits(service, collection, "What does the miller grind?", "vector")
    assert [word for word in WORDS if any(word in hit["chunk"]["text"] for hit in by_meaning)] == by_words
    return by_words


def hits(service: Service, collection: str, query: str, mode: str) -> list[dict[str, Any]]:
    body = {"query": query, "collection": collection, "mode": mode}
    listed: list[dict[str, Any]] = service.data(service.post("/api/search", json=body))["hits"]
    return listed


def versions(service: Service, document_id: int) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = service.data(service.get(f"/api/documents/{document_id}/versions"))["versions"]
    return listed


def shown(service: Service, document_id: int) -> int:
    """The number of the version that answers."""
    (number,) = [version["number"] for version in versions(service, document_id) if version["is_current"]]
    return int(number)


def roll_back(service: Service, document_id: int, version: int) -> dict[str, Any]:
    answer = service.post(f"/api/documents/{document_id}/rollback", json={"version": version})
    view: dict[str, Any] = service.data(answer)
    return view


def snapshots(collection: str, *further: object) -> str:
    return "/".join((f"/api/collections/{collection}/snapshots", *map(str, further)))


def diff(service: Service, document_id: int, before: int, after: int, **asked: int) -> dict[str, Any]:
    query = {"before": before, "after": after, **asked}
    view: dict[str, Any] = service.data(service.get(f"/api/documents/{document_id}/diff", params=query))
    return view


class TestRollBack:
    def test_document_stays_where_it_was_rolled_back_to_until_its_source_changes(self, desk: Service) -> None:
        document_id = write(desk, "letters", RYE, OATS)
        assert [(version["number"], version["is_current"]) for version in versions(desk, document_id)] == [
            (2, True),
            (1, False),
        ]
        assert found(desk, "letters") == ["oats"]

        answer = desk.post(f"/api/documents/{document_id}/rollback", json={"version": 1})

        assert answer.json()["message"] == f"Version 1 of document {document_id} answers searches now"
        assert answer.json()["data"]["version"]["number"] == 1
        assert found(desk, "letters") == ["rye"]
        assert index(desk, document_id)["status"] == "skipped"
        assert upload(desk, "letters", OATS) == document_id
        assert index(desk, document_id)["status"] == "skipped"
        assert (shown(desk, document_id), found(desk, "letters")) == (1, ["rye"])
        upload(desk, "letters", BARLEY)
        changed = index(desk, document_id)
        assert (changed["status"], changed["version"]) == ("completed", 3)
        assert found(desk, "letters") == ["barley"]
        assert index(desk, document_id)["status"] == "skipped"

    def test_forced_indexing_takes_what_the_source_is_now(self, desk: Service) -> None:
        document_id = write(desk, "forced", RYE, OATS)
        roll_back(desk, document_id, 1)

        forced = index(desk, document_id, force=True)

        assert forced["version"] == 3
        assert found(desk, "forced") == ["oats"]
        assert index(desk, document_id)["status"] == "skipped"

    def test_document_goes_forward_again(self, desk: Service) -> None:
        document_id = write(desk, "forward", RYE, OATS)
        roll_back(desk, document_id, 1)

        roll_back(desk, document_id, 2)

        assert found(desk, "forward") == ["oats"]
        assert index(desk, document_id)["status"] == "skipped"


class TestVersions:
    def test_versions_are_listed_newest_first_with_what_each_was_made_of(self, desk: Service) -> None:
        document_id = write(desk, "listed", "# Rye\n\nGround.", "# Oats\n\nGround.", "# Oats\n\nGround twice.")

        listed = versions(desk, document_id)

        assert [version["number"] for version in listed] == [3, 2, 1]
        assert len({version["content_hash"] for version in listed}) == 3
        assert [version["is_current"] for version in listed] == [True, False, False]
        assert listed[0]["published_at"] > listed[1]["published_at"]

    def test_document_that_was_never_indexed_has_none(self, used: Service) -> None:
        (document_id,) = used.register("a", collection="never")
        assert versions(used, document_id) == []


class TestDiff:
    def test_words_are_told_in_both_languages(self, desk: Service) -> None:
        document_id = write(desk, "diff", RYE, OATS)

        told = diff(desk, document_id, 1, 2)

        assert {kind: told[kind] for kind in ("added", "removed", "changed")} == {
            "added": 0,
            "removed": 0,
            "changed": 1,
        }
        (change,) = told["changes"]
        assert change["kind"] == "changed"
        assert change["before"]["position"] == change["after"]["position"] == 0
        assert [(part["kind"], part["text"]) for part in change["text"]] == [
            ("same", "The miller grinds"),
            ("removed", " rye"),
            ("added", " oats"),
            ("same", " every morning.\n\n水车"),
            ("removed", "缓缓"),
            ("added", "飞快"),
            ("same", "转动。"),
        ]
        assert told["next_offset"] is None

    def test_pages_neither_repeat_nor_skip(self, desk: Service) -> None:
        long = [" ".join(f"{word}{number}" for word in WORDS * 5) for number in range(8)]
        document_id = write(desk, "paged", "\n\n".join(long), "\n\n".join(line.upper() for line in long))

        whole = diff(desk, document_id, 1, 2)

        pages, offset = [], 0
        while offset is not None:
            page = diff(desk, document_id, 1, 2, offset=offset, limit=3)
            assert len(page["changes"]) <= 3
            assert page["changed"] == whole["changed"]
            pages += page["changes"]
            offset = page["next_offset"]
        assert len(whole["changes"]) > 6
        assert pages == whole["changes"]

    def test_version_is_no_different_from_itself(self, desk: Service) -> None:
        document_id = write(desk, "equal", RYE)

        told = diff(desk, document_id, 1, 1)

        assert told == {
            "added": 0,
            "removed": 0,
            "changed": 0,
            "unchanged": 1,
            "changes": [],
            "next_offset": None,
        }


class TestSnapshots:
    def test_collection_comes_back_and_restoring_can_be_undone(self, desk: Service) -> None:
        changed = write(desk, "shelf", RYE)
        deleted = upload(desk, "shelf", "The warden oils the gate.", name="gate.txt")
        index(desk, deleted)
        taken = desk.post(snapshots("shelf"), json={"name": "搬家之前"})
        first = desk.data(taken)["id"]
        write(desk, "shelf", OATS)
        desk.delete(f"/api/documents/{deleted}")
        new = upload(desk, "shelf", "Barley, all of it.", name="new.txt")
        index(desk, new)

        restored = desk.post(snapshots("shelf", first, "restore"))

        assert taken.status_code == 201
        assert taken.json()["message"] == f"Took snapshot {first} of shelf"
        assert (desk.data(taken)["name"], desk.data(taken)["documents"]) == ("搬家之前", 2)
        assert restored.json()["message"] == f"shelf shows what it showed in snapshot {first}"
        outcome = desk.data(restored)
        assert {kind: outcome[kind] for kind in ("changed", "returned", "removed")} == {
            "changed": 1,
            "returned": 1,
            "removed": 1,
        }
        assert found(desk, "shelf") == ["rye"]
        assert desk.data(desk.get(f"/api/documents/{deleted}"))["state"] == "indexed"
        assert desk.get(f"/api/documents/{new}").status_code == 404
        assert [index(desk, number)["status"] for number in (changed, deleted)] == ["skipped", "skipped"]

        undone = desk.data(desk.post(snapshots("shelf", outcome["before"]["id"], "restore")))

        assert (undone["changed"], undone["returned"], undone["removed"]) == (1, 1, 1)
        assert found(desk, "shelf") == ["oats"]
        assert desk.data(desk.get(f"/api/documents/{new}"))["version"]["number"] == 1
        assert desk.data(desk.get("/api/collections/shelf"))["documents"] == 2

    def test_forgotten_snapshot_keeps_nothing(self, desk: Service) -> None:
        document_id = write(desk, "kept", RYE)
        taken = desk.data(desk.post(snapshots("kept"), json={"name": "first"}))["id"]
        write(desk, "kept", *(f"{OATS} {number}" for number in range(3)))
        assert [version["number"] for version in versions(desk, document_id)] == [4, 3, 2, 1]

        forgotten = desk.delete(snapshots("kept", taken))

        assert desk.data(forgotten) == {"id": taken}
        assert [version["number"] for version in versions(desk, document_id)] == [4, 3, 2]
        assert desk.data(desk.get(snapshots("kept"))) == {"snapshots": []}
        assert desk.post(snapshots("kept", taken, "restore")).json()["code"] == "snapshot_not_found"

    def test_snapshots_are_listed_newest_first(self, used: Service) -> None:
        used.register("a", collection="albums")
        ids = [used.data(used.post(snapshots("albums"), json={"name": name}))["id"] for name in ("one", "two")]

        listed = used.data(used.get(snapshots("albums")))["snapshots"]

        assert [(one["id"], one["name"], one["documents"]) for one in listed] == [
            (ids[1], "two", 1),
            (ids[0], "one", 1),
        ]

    @pytest.mark.parametrize("name", ["", "  ", "nothing\0", "x" * 201])
    def test_name_that_nobody_can_read_is_refused(self, kept: Service, name: str) -> None:
        kept.register("a", collection="names")

        refused = kept.post(snapshots("names"), json={"name": name})

        assert refused.status_code == 422
        assert "name" in refused.json()["message"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("method", "path", "body", "code"),
        [
            ("GET", "/api/documents/999999/versions", None, "document_not_found"),
            ("GET", "/api/documents/999999/diff?before=1&after=2", None, "document_not_found"),
            ("GET", "/api/documents/{document}/diff?before=1&after=2", None, "version_not_found"),
            ("POST", "/api/documents/999999/rollback", {"version": 1}, "document_not_found"),
            ("POST", "/api/documents/{document}/rollback", {"version": 9}, "version_not_found"),
            ("GET", "/api/collections/nowhere/snapshots", None, "collection_not_found"),
            ("POST", "/api/collections/nowhere/snapshots", {"name": "a"}, "collection_not_found"),
            ("POST", "/api/collections/refused/snapshots/999999/restore", None, "snapshot_not_found"),
            ("DELETE", "/api/collections/refused/snapshots/999999", None, "snapshot_not_found"),
        ],
    )
    def test_what_is_not_there_is_named(
        self, used: Service, method: str, path: str, body: dict[str, Any] | None, code: str
    ) -> None:
        (document_id,) = used.register("a", collection="refused")

        refused = used.call(method, path.format(document=document_id), json=body)

        assert (refused.status_code, refused.json()["code"]) == (404, code)

    @pytest.mark.parametrize(
        ("method", "path", "body", "code"),
        [
            ("GET", "/api/documents/1/diff?before=1", None, "field_missing"),
            ("GET", "/api/documents/1/diff?before=0&after=1", None, "field_out_of_range"),
            ("GET", "/api/documents/1/diff?before=1&after=two", None, "field_not_whole_number"),
            ("GET", "/api/documents/1/diff?before=1&after=2&limit=201", None, "field_out_of_range"),
            ("GET", "/api/documents/1/diff?before=1&after=2&offset=-1", None, "field_out_of_range"),
            ("GET", f"/api/documents/1/diff?before=1&after={2**63}", None, "field_out_of_range"),
            ("GET", "/api/documents/0/versions", None, "field_out_of_range"),
            ("POST", "/api/documents/1/rollback", {"version": 0}, "field_out_of_range"),
            ("POST", "/api/documents/1/rollback", {"version": True}, "field_not_whole_number"),
            ("POST", "/api/documents/1/rollback", {}, "field_missing"),
            ("POST", "/api/documents/1/rollback", {"version": 1, "number": 1}, "field_unknown"),
            ("POST", "/api/collections/c/snapshots", {}, "field_missing"),
            ("POST", "/api/collections/c/snapshots/0/restore", None, "field_out_of_range"),
        ],
    )
    def test_value_that_cannot_be_meant_is_refused(
        self, used: Service, method: str, path: str, body: dict[str, Any] | None, code: str
    ) -> None:
        refused = used.call(method, path, json=body)

        assert (refused.status_code, refused.json()["code"]) == (422, code)

    def test_looking_needs_read_and_everything_else_write(self, api: Service) -> None:
        (document_id,) = api.register("a", collection="drafts")
        headers = {"X-API-Key": api.app.keys.create("reader", "read")[1]}

        looks = [f"/api/documents/{document_id}/versions", snapshots("drafts")]
        changes = [
            ("POST", f"/api/documents/{document_id}/rollback", {"version": 1}),
            ("POST", snapshots("drafts"), {"name": "a"}),
            ("POST", snapshots("drafts", 1, "restore"), None),
            ("DELETE", snapshots("drafts", 1), None),
        ]

        assert [api.get(path, headers=headers).status_code for path in looks] == [200, 200]
        for method, path, body in changes:
            refused = api.call(method, path, json=body, headers=headers)
            assert (refused.status_code, refused.json()["needed"]) == (403, "write")

    def test_messages_are_chinese_where_they_are_to_be(self, used: Service) -> None:
        (document_id,) = used.register("a", collection="册")
        chinese = {"Accept-Language": "zh"}

        taken = used.post(snapshots("册"), json={"name": "之前"}, headers=chinese)
        refused = used.post(f"/api/documents/{document_id}/rollback", json={"version": 7}, headers=chinese)

        number = taken.json()["data"]["id"]
        assert taken.json()["message"] == f"已为 册 创建快照 {number}"
        assert refused.json()["message"].startswith(f"文档 {document_id} 没有版本 7")


class Hands:
    """A worker whose attempts end when the test says so."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.app, self.folder = service.app, folder
        self.app.store.register_worker(new_worker())
        self.runner = Runner(self.app.store, self.app.kinds, build_handlers(self.app), self.app.clock)

    def begin(self, kind: str = "index_document") -> tuple[Task, Outcome] | None:
        """Do all the work of a task, and write nothing of it yet."""
        self.app.store.promote_due()
        claimed = self.app.store.claim(WORKER, queues=self.app.settings.workers.queues, kinds=[kind])
        if not claimed:
            return None
        context = RunContext(claimed[0], self.app.store, self.app.clock, temp_dir=self.folder / claimed[0].id)
        return claimed[0], self.runner.attempt(claimed[0], context, guard=lambda attempt: attempt())

    def end(self, begun: tuple[Task, Outcome]) -> None:
        """Write what came of it."""
        self.runner.finish([begun])

    def index(self, document_id: int, *, force: bool = False) -> Task:
        """Hand in a task that indexes the document."""
        return self.app.tasks.submit("index_document", {"doc_id": document_id, "user_id": None, "force": force})

    def work_off(self, task: Task) -> dict[str, Any]:
        """Do whatever is due until the task has ended; its result."""

        def step() -> bool:
            if (begun := self.begin()) is not None:
                self.end(begun)
            return self.app.store.get(task.id).state.is_final

        eventually(step)
        return dict(self.app.store.get(task.id).result or {})


class TestRaces:
    """A task of the document is at work when it is rolled back."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        (tmp_path / "files").mkdir()
        return tmp_path / "files" / "note.txt"

    @pytest.fixture(params=["sqlite", "postgres"])
    def place(self, request: pytest.FixtureRequest, tmp_path: Path, file: Path) -> Iterator[Service]:
        settings: dict[str, dict[str, Any]] = {"sources": {"roots": [file.parent]}}
        if request.param == "postgres":
            settings["database"] = {"url": fresh_database()}
        with serving(tmp_path / "data", settings) as service:
            yield service

    @pytest.fixture
    def hands(self, place: Service, tmp_path: Path) -> Hands:
        return Hands(place, tmp_path / "temp")

    @pytest.fixture
    def document_id(self, place: Service, hands: Hands, file: Path) -> int:
        """Has two versions."""
        file.write_text(RYE, "utf-8")
        registered = place.data(place.post("/api/documents", json={"paths": [str(file)]}))
        number = int(registered["documents"][0]["id"])
        hands.work_off(hands.index(number))
        file.write_text(OATS, "utf-8")
        hands.work_off(hands.index(number))
        assert found(place, "default") == ["oats"]
        return number

    def test_source_that_turns_out_to_be_the_same_leaves_it_rolled_back(
        self, place: Service, hands: Hands, file: Path, document_id: int
    ) -> None:
        file.write_text(OATS, "utf-8")
        task = hands.index(document_id)
        begun = hands.begin()
        assert begun is not None

        roll_back(place, document_id, 1)
        hands.end(begun)

        assert hands.work_off(task)["status"] == "skipped"
        assert (shown(place, document_id), found(place, "default")) == (1, ["rye"])
        assert hands.work_off(hands.index(document_id))["status"] == "skipped"

    def test_source_that_changed_moves_on_all_the_same(
        self, place: Service, hands: Hands, file: Path, document_id: int
    ) -> None:
        file.write_text(BARLEY, "utf-8")
        task = hands.index(document_id)
        begun = hands.begin()
        assert begun is not None

        roll_back(place, document_id, 1)
        hands.end(begun)

        assert shown(place, document_id) == 1
        assert hands.work_off(task)["version"] == 3
        assert found(place, "default") == ["barley"]
        assert [event.name for event in hands.app.store.events(task.id)].count("claimed") == 2

    def test_task_that_began_before_and_reads_the_same_source_again_leaves_it_rolled_back(
        self, place: Service, hands: Hands, file: Path, document_id: int
    ) -> None:
        file.write_text(BARLEY, "utf-8")
        task = hands.index(document_id)
        begun = hands.begin()
        assert begun is not None

        file.write_text(OATS, "utf-8")
        roll_back(place, document_id, 1)
        hands.end(begun)

        assert hands.work_off(task)["status"] == "skipped"
        assert (shown(place, document_id), found(place, "default")) == (1, ["rye"])
