"""Schedules on every database: a tick submits one task, whoever looks and however often, and what goes by is counted."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from gristmill.app import Gristmill, open_gristmill
from gristmill.clock import Clock
from gristmill.db.database import Database
from gristmill.db.schedules import StoredSchedules
from gristmill.db.schema import schedules
from gristmill.errors import Conflict, GristmillError, InvalidInput, NotFound
from gristmill.failpoints import arm
from gristmill.settings import Settings
from gristmill.tasks.model import Completed, Task, TaskFilter, TaskState
from gristmill.tasks.schedule import MOST_CAUGHT_UP, Misfire, Overlap, Schedule, due_ticks, plan, task_id_of
from gristmill.tasks.secrets import masked, opened
from gristmill.tasks.ticks import Cron, Every
from tests.support.clock import TestClock
from tests.support.tasks import Bench

MINUTE = 60
SIGNED = "https://files.example/report.pdf?signature=0123abcd"
Open = Callable[[], Gristmill]


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def open_app(task_database: Database, tmp_path: Path, clock: Clock) -> Iterator[Open]:
    """Opens Gristmills that share a database and a clock, each as a process of its own would."""
    made: list[Gristmill] = []

    def make() -> Gristmill:
        settings = Settings(data=tmp_path / "data", database={"url": task_database.url})
        made.append(open_gristmill(settings, clock=clock))
        return made[-1]

    yield make
    for app in made:
        app.bell.close()
        assert app.database.checked_out() == 0
        app.close()


@pytest.fixture
def app(open_app: Open) -> Gristmill:
    return open_app()


def micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def minutely(app: Gristmill, name: str = "often", **values: Any) -> Schedule:
    """A schedule that ticks every minute; what a test does not name does not matter to it."""
    return app.schedules.add(name, **{"kind": "ping", "payload": {"note": name}, "every": MINUTE, **values})


def submitted(app: Gristmill) -> list[Task]:
    return app.tasks.find(TaskFilter(), limit=1000)[::-1]


def counts(app: Gristmill, name: str = "often") -> tuple[int, int, int]:
    found = app.schedules.get(name)
    return found.fired, found.skipped, found.missed


def test_tick_submits_the_task_and_the_next_one_is_awaited(app: Gristmill, clock: TestClock) -> None:
    made = minutely(app, priority=7, collection="drafts")
    began = clock.now()

    before = app.schedules.fire_due()
    clock.pass_time(MINUTE)
    fired = app.schedules.fire_due()
    again = app.schedules.fire_due()

    (task,) = submitted(app)
    after = app.schedules.get("often")
    tick = began + MINUTE * 1_000_000
    assert (before, fired, again) == (0, 1, 0)
    assert (task.id, task.kind, task.payload) == (task_id_of(made, tick), "ping", {"note": "often"})
    assert (task.priority, task.collection, task.state) == (7, "drafts", TaskState.PENDING)
    assert [event.name for event in app.store.events(task.id)] == ["submitted"]
    assert (after.last_tick_at, after.last_run_at, after.last_task_id) == (tick, clock.now(), task.id)
    assert after.next_tick_at == tick + MINUTE * 1_000_000
    assert counts(app) == (1, 0, 0)


def test_many_that_look_at_once_submit_one_task_for_each_tick(open_app: Open, clock: TestClock) -> None:
    apps = [open_app() for _ in range(5)]
    made = [minutely(apps[0], f"s{number}", overlap=Overlap.ALLOW) for number in range(4)]
    fired = 0

    with ThreadPoolExecutor(10) as pool:
        for _ in range(6):
            clock.pass_time(MINUTE)
            fired += sum(pool.map(lambda app: app.schedules.fire_due(), [*apps, *apps]))

    tasks = submitted(apps[0])
    ticks = [made[0].next_tick_at + number * MINUTE * 1_000_000 for number in range(6)]
    assert fired == 24
    assert sorted(task.id for task in tasks) == sorted(task_id_of(one, tick) for one in made for tick in ticks)
    assert {counts(apps[0], one.name) for one in made} == {(6, 0, 0)}


@pytest.mark.parametrize(
    ("timezone", "evening", "rule", "nightly"),
    [
        ("Europe/Berlin", "2026-03-28 22:00", "30 2 * * *", "2026-03-29 01:00+00:00"),
        ("Europe/Berlin", "2026-10-24 22:00", "30 2 * * *", "2026-10-25 00:30+00:00"),
        ("America/New_York", "2026-03-07 22:00", "30 2 * * *", "2026-03-08 07:00+00:00"),
        ("America/New_York", "2026-10-31 22:00", "30 1 * * *", "2026-11-01 05:30+00:00"),
        ("Australia/Lord_Howe", "2026-10-03 22:00", "15 2 * * *", "2026-10-03 15:30+00:00"),
        ("Australia/Lord_Howe", "2026-04-04 22:00", "45 1 * * *", "2026-04-04 14:45+00:00"),
        ("UTC", "2026-03-28 22:00", "30 2 * * *", "2026-03-29 02:30+00:00"),
    ],
)
def test_each_tick_of_a_night_in_which_the_clocks_change_comes_once(
    open_app: Open, clock: TestClock, timezone: str, evening: str, rule: str, nightly: str
) -> None:
    begin = micros(datetime.fromisoformat(evening).replace(tzinfo=ZoneInfo(timezone)))
    clock.jump((begin - clock.now()) / 1_000_000)
    apps = [open_app() for _ in range(5)]
    rules = {"nightly": rule, "always": "*/30 * * * *"}
    made = {
        name: apps[0].schedules.add(
            name, kind="ping", payload={}, cron=cron, timezone=timezone, overlap=Overlap.ALLOW, misfire=Misfire.SKIP
        )
        for name, cron in rules.items()
    }

    for _ in range(6 * 12):
        clock.pass_time(5 * MINUTE)
        for app in apps:
            app.schedules.fire_due()

    half_hours = [begin + number * 30 * MINUTE * 1_000_000 for number in range(1, 13)]
    assert {task.id for task in submitted(apps[0])} == {
        task_id_of(made["nightly"], micros(datetime.fromisoformat(nightly))),
        *(task_id_of(made["always"], tick) for tick in half_hours),
    }
    assert counts(apps[0], "nightly") == (1, 0, 0)
    assert counts(apps[0], "always") == (12, 0, 0)


def test_tick_and_task_happen_together_or_not_at_all(app: Gristmill, clock: TestClock) -> None:
    made = minutely(app)
    clock.pass_time(MINUTE)
    arm("mid_fire:raise")
    try:
        failed = app.schedules.fire_due()
    finally:
        arm("")
    left = submitted(app), app.schedules.get("often")

    fired = app.schedules.fire_due()

    assert failed == 0
    assert left == ([], made)
    assert fired == 1
    assert [task.id for task in submitted(app)] == [task_id_of(made, made.next_tick_at)]


@pytest.mark.parametrize(
    ("misfire", "overlap", "late", "fired", "missed"),
    [
        # Five ticks went by unseen, the latest of them `late` seconds ago.
        (Misfire.ONCE, Overlap.SKIP, 30, [5], 4),
        (Misfire.ONCE, Overlap.ALLOW, 59, [5], 4),
        (Misfire.SKIP, Overlap.SKIP, 30, [5], 4),
        (Misfire.ALL, Overlap.ALLOW, 30, [1, 2, 3, 4, 5], 0),
        (Misfire.ALL, Overlap.SKIP, 30, [1], 0),
    ],
)
def test_ticks_that_nobody_looked_at_are_made_up_for_as_asked(
    app: Gristmill, clock: TestClock, misfire: Misfire, overlap: Overlap, late: int, fired: list[int], missed: int
) -> None:
    made = minutely(app, misfire=misfire, overlap=overlap)
    began = clock.now()
    clock.pass_time(5 * MINUTE + late)

    app.schedules.fire_due()

    ticks = [began + number * MINUTE * 1_000_000 for number in fired]
    assert [task.id for task in submitted(app)] == [task_id_of(made, tick) for tick in ticks]
    assert counts(app) == (len(fired), 0, missed)


def test_tick_that_is_late_is_missed_where_none_is_made_up_for(app: Gristmill, clock: TestClock) -> None:
    for misfire in Misfire:
        app.schedules.add(misfire.value, kind="ping", payload={}, every="1d", misfire=misfire)
    clock.pass_time(24 * 3600 + 61)

    app.schedules.fire_due()

    assert {name: counts(app, name) for name in Misfire} == {"once": (1, 0, 0), "all": (1, 0, 0), "skip": (0, 0, 1)}
    assert {app.schedules.get(name).next_tick_at for name in Misfire} == {clock.now() + (24 * 3600 - 61) * 1_000_000}


def test_no_more_than_a_hundred_ticks_are_made_up_for(app: Gristmill, clock: TestClock) -> None:
    made = minutely(app, misfire=Misfire.ALL, overlap=Overlap.ALLOW)
    began = clock.now()
    clock.pass_time(250 * MINUTE)

    app.schedules.fire_due()

    latest = [began + number * MINUTE * 1_000_000 for number in range(151, 251)]
    assert [task.id for task in submitted(app)] == [task_id_of(made, tick) for tick in latest]
    assert counts(app) == (MOST_CAUGHT_UP, 0, 150)


def test_ticks_of_an_outage_of_a_year_are_counted_up_to_a_bound(app: Gristmill, clock: TestClock) -> None:
    app.schedules.add("often", kind="ping", payload={}, cron="* * * * *")
    clock.pass_time(366 * 24 * 3600)

    app.schedules.fire_due()

    assert counts(app) == (1, 0, 9999)
    assert clock.now() < app.schedules.get("often").next_tick_at <= clock.now() + MINUTE * 1_000_000


def test_ticks_to_be_made_up_for_one_by_one_wait_for_each_other(app: Gristmill, clock: TestClock) -> None:
    minutely(app, misfire=Misfire.ALL)
    bench = Bench(app.store)
    clock.pass_time(3 * MINUTE)
    seen = []

    for _ in range(4):
        seen.append((app.schedules.fire_due(), app.schedules.fire_due(), counts(app)))
        for task in bench.claim():
            bench.end(task, Completed())

    assert seen == [(1, 0, (1, 0, 0)), (1, 0, (2, 0, 0)), (1, 0, (3, 0, 0)), (0, 0, (3, 0, 0))]


def test_tick_is_skipped_while_the_task_before_has_not_ended(app: Gristmill, clock: TestClock) -> None:
    minutely(app)
    clock.pass_time(MINUTE)
    app.schedules.fire_due()

    clock.pass_time(MINUTE)
    held = app.schedules.fire_due()
    bench = Bench(app.store)
    bench.end(bench.take(), Completed())
    clock.pass_time(MINUTE)
    after = app.schedules.fire_due()

    assert (held, after) == (0, 1)
    assert counts(app) == (2, 1, 0)
    assert app.schedules.get("often").next_tick_at == clock.now() + MINUTE * 1_000_000


def test_task_may_run_beside_the_one_before_where_that_is_allowed(app: Gristmill, clock: TestClock) -> None:
    minutely(app, overlap=Overlap.ALLOW)

    for _ in range(3):
        clock.pass_time(MINUTE)
        app.schedules.fire_due()

    assert counts(app) == (3, 0, 0)
    assert {task.state for task in submitted(app)} == {TaskState.PENDING}


def test_paused_schedule_does_not_tick_and_makes_up_for_nothing(app: Gristmill, clock: TestClock) -> None:
    made = minutely(app, misfire=Misfire.ALL, overlap=Overlap.ALLOW)
    app.schedules.pause("often")
    clock.pass_time(10 * MINUTE + 20)
    while_paused = app.schedules.fire_due(), app.schedules.upcoming(app.schedules.get("often"))

    resumed = app.schedules.resume("often")
    at_once = app.schedules.fire_due()
    clock.pass_time(40)
    fired = app.schedules.fire_due()

    assert while_paused == (0, [])
    # It keeps its pace.
    assert resumed.next_tick_at == made.next_tick_at + 10 * MINUTE * 1_000_000
    assert (at_once, fired) == (0, 1)
    assert counts(app) == (1, 0, 0)


def test_pausing_and_resuming_before_a_tick_changes_nothing(app: Gristmill) -> None:
    made = minutely(app)

    for _ in range(2):
        app.schedules.pause("often")
        app.schedules.resume("often")
        app.schedules.resume(made.id)

    assert app.schedules.get("often").next_tick_at == made.next_tick_at


def test_schedule_made_paused_waits_until_it_is_resumed(app: Gristmill, clock: TestClock) -> None:
    minutely(app, paused=True)
    clock.pass_time(MINUTE)

    assert app.schedules.fire_due() == 0
    app.schedules.resume("often")
    clock.pass_time(MINUTE)
    assert app.schedules.fire_due() == 1


def test_schedule_runs_now_without_a_tick(app: Gristmill, clock: TestClock) -> None:
    made = minutely(app, paused=True)

    first = app.schedules.run("often")
    second = app.schedules.run(made.id)

    after = app.schedules.get("often")
    assert [task.id for task in submitted(app)] == [first.id, second.id]
    assert first.payload == {"note": "often"}
    assert (after.last_task_id, after.last_run_at, after.last_tick_at) == (second.id, clock.now(), None)
    assert (after.next_tick_at, after.paused, counts(app)) == (made.next_tick_at, True, (0, 0, 0))


def test_tick_is_skipped_while_a_task_that_was_run_by_hand_has_not_ended(app: Gristmill, clock: TestClock) -> None:
    minutely(app)
    app.schedules.run("often")
    clock.pass_time(MINUTE)

    assert app.schedules.fire_due() == 0
    assert counts(app) == (0, 1, 0)


def test_request_to_run_that_is_repeated_runs_once(app: Gristmill, clock: TestClock) -> None:
    minutely(app, overlap=Overlap.ALLOW)
    first = app.schedules.run("often", idempotency_key="k")
    clock.pass_time(MINUTE)
    app.schedules.fire_due()
    latest = app.schedules.get("often").last_task_id

    again = app.schedules.run("often", idempotency_key="k")

    assert again.id == first.id
    assert app.schedules.get("often").last_task_id == latest != first.id


def test_change_of_the_task_is_what_the_next_tick_submits(app: Gristmill, clock: TestClock) -> None:
    made = minutely(app)

    changed = app.schedules.change("often", {"payload": {"note": "new"}, "priority": 9, "name": "renamed"})
    clock.pass_time(MINUTE)
    app.schedules.fire_due()

    (task,) = submitted(app)
    assert (changed.name, changed.next_tick_at, changed.rule) == ("renamed", made.next_tick_at, made.rule)
    assert (task.payload, task.priority) == ({"note": "new"}, 9)
    with pytest.raises(NotFound, match="often"):
        app.schedules.get("often")


def test_change_of_the_rule_counts_ticks_anew(app: Gristmill, clock: TestClock) -> None:
    minutely(app)
    clock.pass_time(30)

    faster = app.schedules.change("often", {"every": "10s"})
    daily = app.schedules.change("often", {"cron": "0 3 * * *", "timezone": "Europe/Berlin"})
    moved = app.schedules.change("often", {"timezone": "America/New_York"})
    later = app.schedules.change("often", {"cron": "0 4 * * *"})
    back = app.schedules.change("often", {"every": 90})

    assert (faster.rule, faster.next_tick_at) == (Every(10), clock.now() + 10_000_000)
    assert daily.rule == Cron("0 3 * * *", "Europe/Berlin")
    assert moved.rule == Cron("0 3 * * *", "America/New_York")
    assert moved.next_tick_at - daily.next_tick_at == 6 * 3600 * 1_000_000
    assert later.rule == Cron("0 4 * * *", "America/New_York")
    assert (back.rule, back.next_tick_at) == (Every(90), clock.now() + 90_000_000)


def test_look_that_was_overtaken_by_a_change_submits_nothing(
    app: Gristmill, task_database: Database, clock: TestClock
) -> None:
    made = minutely(app)
    stored = StoredSchedules(task_database, clock)
    clock.pass_time(MINUTE)
    due = due_ticks(made, clock.now())
    planned = plan(made, due, now=clock.now(), grace_seconds=60, is_running=False)
    drafts = {tick: app.tasks.draft("ping", {}, task_id=task_id_of(made, tick)) for tick in due}

    app.schedules.change("often", {"payload": {"note": "newer"}})

    assert stored.carry_out(made, idle=planned, busy=planned, drafts=drafts) is None
    assert submitted(app) == []


def test_change_that_was_overtaken_is_made_again_on_what_is_there(
    app: Gristmill, task_database: Database, clock: TestClock
) -> None:
    made = minutely(app)
    stored = StoredSchedules(task_database, clock)
    app.schedules.change("often", {"priority": 1})

    assert stored.replace(made, replace(made, paused=True)) is None
    assert app.schedules.pause("often").priority == 1


def test_removed_schedule_leaves_its_tasks(app: Gristmill, clock: TestClock) -> None:
    made = minutely(app)
    task = app.schedules.run("often")

    app.schedules.remove("often")
    clock.pass_time(MINUTE)

    assert app.schedules.fire_due() == 0
    assert submitted(app) == [task]
    assert app.schedules.all() == []
    for call in (app.schedules.get, app.schedules.remove, app.schedules.run, app.schedules.pause):
        with pytest.raises(NotFound) as missing:
            call(made.id)
        assert missing.value.code == "schedule_not_found"


def test_name_belongs_to_one_schedule(app: Gristmill) -> None:
    minutely(app, "one")
    minutely(app, "two")

    with pytest.raises(Conflict) as taken:
        minutely(app, "one")
    with pytest.raises(Conflict):
        app.schedules.change("two", {"name": "one"})
    with ThreadPoolExecutor(6) as pool:
        asked = list(pool.map(lambda _: _made(app, "three"), range(6)))

    assert taken.value.code == "schedule_exists"
    assert sum(asked) == 1
    assert [schedule.name for schedule in app.schedules.all()] == ["one", "three", "two"]


def _made(app: Gristmill, name: str) -> bool:
    try:
        minutely(app, name)
    except Conflict:
        return False
    return True


def test_id_is_meant_before_a_name_that_looks_like_it(app: Gristmill) -> None:
    made = minutely(app)
    minutely(app, made.id)

    assert app.schedules.get(made.id).name == "often"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"every": None}, "schedule_rule_not_one"),
        ({"cron": "0 3 * * *"}, "schedule_rule_not_one"),
        ({"every": 0}, "interval_invalid"),
        ({"every": None, "cron": "0 25 * * *"}, "cron_field_invalid"),
        ({"every": None, "cron": "0 3 * *"}, "cron_fields_not_five"),
        ({"every": None, "cron": "0 3 30 2 *"}, "cron_never"),
        ({"every": None, "cron": "0 3 * * *", "timezone": "Mars/Olympus"}, "timezone_unknown"),
        ({"timezone": "Europe/Berlin"}, "timezone_without_cron"),
        ({"name": " "}, "schedule_name_invalid"),
        ({"name": "a/b"}, "schedule_name_invalid"),
        ({"name": "x" * 101}, "schedule_name_invalid"),
        ({"kind": "grind"}, "kind_unknown"),
        ({"payload": {"notes": 1}}, "payload_field_unknown"),
        ({"payload": {"note": 1}}, "payload_field_type"),
        ({"kind": "index_source", "payload": {}}, "payload_field_missing"),
        (
            {"kind": "index_source", "payload": {"source": "https://a.example/", "collection": "a/b"}},
            "collection_name_invalid",
        ),
        ({"priority": 10}, "priority_out_of_range"),
    ],
)
def test_schedule_that_could_not_work_is_refused_and_nothing_is_changed(
    app: Gristmill, changes: dict[str, Any], code: str
) -> None:
    kept = minutely(app, "kept")

    with pytest.raises(InvalidInput) as refused:
        minutely(app, **{"name": "new", **changes})
    if code != "schedule_rule_not_one":
        with pytest.raises(InvalidInput) as unchanged:
            app.schedules.change("kept", {name: value for name, value in changes.items() if value is not None})
        assert unchanged.value.code == code

    assert refused.value.code == code
    for language in ("en", "zh"):
        assert "{" not in refused.value.message(language)
    assert app.schedules.all() == [kept]


def test_zone_is_that_of_the_settings_where_none_is_named(open_app: Open, app: Gristmill) -> None:
    sections = {"schedules": app.settings.schedules.model_copy(update={"timezone": "Asia/Shanghai"})}
    elsewhere = replace(app, settings=app.settings.model_copy(update=sections))

    here, there = (
        one.schedules.add(name, kind="ping", payload={}, cron="0 3 * * *")
        for name, one in (("here", app), ("there", elsewhere))
    )

    assert (here.rule, there.rule) == (Cron("0 3 * * *", "UTC"), Cron("0 3 * * *", "Asia/Shanghai"))


def test_secret_in_a_payload_is_stored_encrypted_and_reaches_the_task(app: Gristmill, clock: TestClock) -> None:
    made = minutely(app, kind="process_document", payload={"source": SIGNED, "split": True})
    app.schedules.change("often", {"priority": 1})
    with app.database.read() as tx:
        stored = str(tx.exec_driver_sql("SELECT payload FROM schedules").scalar())
    clock.pass_time(MINUTE)

    app.schedules.fire_due()

    (task,) = submitted(app)
    kind = app.kinds["process_document"]
    assert "0123abcd" not in stored
    assert masked(made.payload)["source"] == "https://files.example/report.pdf?***"
    assert opened(kind, task.payload, app.vault) == {"source": SIGNED, "split": True}


def test_tick_waits_for_a_process_that_knows_its_kind(open_app: Open, clock: TestClock) -> None:
    newer, older = open_app(), open_app()
    newer.__dict__["kinds"] = {**newer.kinds, "novel": replace(newer.kinds["ping"], name="novel")}
    minutely(newer, kind="novel", payload={})
    clock.pass_time(MINUTE)

    not_by_the_older = older.schedules.fire_due()
    recorded = older.schedules.get("often")
    by_the_newer = newer.schedules.fire_due()

    assert (not_by_the_older, by_the_newer) == (0, 1)
    assert recorded.error is not None
    assert (recorded.error["code"], recorded.error["facts"]["kind"]) == ("kind_unknown", "novel")
    assert newer.schedules.get("often").error is None
    assert counts(newer) == (1, 0, 0)


def test_row_that_cannot_be_read_does_not_keep_others_from_their_ticks(app: Gristmill, clock: TestClock) -> None:
    spoiled = minutely(app, "spoiled")
    minutely(app, "sound")
    with app.database.write() as tx:
        values = {"every_seconds": None, "cron": "not a rule", "timezone": "UTC"}
        tx.execute(update(schedules).where(schedules.c.id == spoiled.id).values(values))
    clock.pass_time(MINUTE)

    assert app.schedules.fire_due() == 1
    assert [task.payload for task in submitted(app)] == [{"note": "sound"}]


def test_clock_that_is_set_back_repeats_no_tick(app: Gristmill, clock: TestClock) -> None:
    minutely(app, overlap=Overlap.ALLOW)
    clock.pass_time(MINUTE)
    app.schedules.fire_due()

    clock.jump(-3600)
    looks = []
    for _ in range(61):
        looks.append(app.schedules.fire_due())
        clock.pass_time(MINUTE)

    assert sum(looks) == 0
    assert app.schedules.fire_due() == 1
    assert counts(app) == (2, 0, 0)


def test_next_ticks_are_told_with_the_one_that_is_due(app: Gristmill, clock: TestClock) -> None:
    made = minutely(app)
    ahead = app.schedules.upcoming(made)
    clock.pass_time(3 * MINUTE + 1)

    overdue = app.schedules.upcoming(made)

    step = MINUTE * 1_000_000
    assert ahead == [made.next_tick_at + number * step for number in range(5)]
    assert overdue == [made.next_tick_at, *(made.next_tick_at + number * step for number in range(3, 7))]


def test_every_sweep_looks_at_the_schedules(app: Gristmill, clock: TestClock) -> None:
    minutely(app)
    clock.pass_time(MINUTE)

    done = app.sweeper.sweep()

    assert done["schedules.fired"] == 1
    assert len(submitted(app)) == 1


def test_refusals_are_told_in_both_languages(app: Gristmill) -> None:
    asked: list[dict[str, Any]] = [
        {"cron": "0 99 * * *"},
        {"cron": "* * *"},
        {"every": "soon"},
        {"cron": "@daily", "timezone": "X"},
    ]
    for one in asked:
        with pytest.raises(GristmillError) as refused:
            app.schedules.add("new", kind="ping", payload={}, **one)
        value = next(iter(one.values())) if "timezone" not in one else "X"
        assert str(value) in refused.value.message("en")
        assert str(value) in refused.value.message("zh")
