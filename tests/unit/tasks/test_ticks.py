"""When schedules tick: what the fields of a rule mean, and what happens where the clocks change."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.errors import InvalidInput
from gristmill.tasks.ticks import Cron, Every, following, read_cron, read_interval, ticks

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def at(text: str, timezone: str = "UTC", *, fold: int = 0) -> int:
    return micros(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone), fold=fold))


def shown(tick: int, timezone: str) -> str:
    """What clocks show, with their distance to UTC."""
    return datetime.fromtimestamp(tick / 1_000_000, ZoneInfo(timezone)).strftime("%m-%d %H:%M%z")


def first(expression: str, timezone: str, since: str, count: int) -> list[str]:
    found = ticks(read_cron(expression, timezone), at(since, timezone))
    return [shown(tick, timezone) for tick in islice(found, count)]


@pytest.mark.parametrize(
    ("expression", "since", "expected"),
    [
        ("0 3 * * *", "2026-05-04 12:00", ["05-05 03:00", "05-06 03:00", "05-07 03:00"]),
        ("*/20 * * * *", "2026-05-04 12:00", ["05-04 12:20", "05-04 12:40", "05-04 13:00"]),
        ("30 9 * * mon-fri", "2026-05-01 09:30", ["05-04 09:30", "05-05 09:30", "05-06 09:30"]),
        ("0 0 1 jan,JUL *", "2026-05-04 12:00", ["07-01 00:00", "01-01 00:00", "07-01 00:00"]),
        # As in cron, either of the two days is enough if both are given.
        ("0 0 13 * fri", "2026-02-01 00:00", ["02-06 00:00", "02-13 00:00", "02-20 00:00"]),
        ("0 12 * * 0", "2026-05-04 12:00", ["05-10 12:00", "05-17 12:00", "05-24 12:00"]),
        ("0 12 * * 7", "2026-05-04 12:00", ["05-10 12:00", "05-17 12:00", "05-24 12:00"]),
        ("0 0 29 2 *", "2026-05-04 12:00", ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
        ("0 0 L * *", "2026-01-15 00:00", ["01-31 00:00", "02-28 00:00", "03-31 00:00"]),
        ("@daily", "2026-05-04 12:00", ["05-05 00:00", "05-06 00:00", "05-07 00:00"]),
        ("@Hourly", "2026-05-04 12:00", ["05-04 13:00", "05-04 14:00", "05-04 15:00"]),
        ("@weekly", "2026-05-04 12:00", ["05-10 00:00", "05-17 00:00", "05-24 00:00"]),
        ("@monthly", "2026-05-04 12:00", ["06-01 00:00", "07-01 00:00", "08-01 00:00"]),
        ("@yearly", "2026-05-04 12:00", ["01-01 00:00", "01-01 00:00", "01-01 00:00"]),
    ],
)
def test_rule_ticks_when_its_fields_say(expression: str, since: str, expected: Sequence[str]) -> None:
    assert [text.removesuffix("+0000") for text in first(expression, "UTC", since, 3)] == expected


def test_tick_that_is_now_is_over_and_one_a_moment_later_is_not() -> None:
    rule, noon = read_cron("0 12 * * *", "UTC"), at("2026-05-04 12:00")

    assert [next(ticks(rule, since)) for since in (noon - 1, noon)] == [noon, at("2026-05-05 12:00")]


# Berlin goes from 02:00 to 03:00 on March 29 and from 03:00 back to 02:00 on October 25; New York from 02:00 to 03:00 on
# March 8 and from 02:00 back to 01:00 on November 1; Lord Howe, by half an hour, from 02:00 to 02:30 on October 4 and from
# 02:00 back to 01:30 on April 5.
@pytest.mark.parametrize(
    ("expression", "timezone", "since", "expected"),
    [
        # A time of the day that clocks go past comes as soon as they have.
        ("30 2 * * *", BERLIN, "2026-03-28 12:00", ["03-29 03:00+0200", "03-30 02:30+0200", "03-31 02:30+0200"]),
        ("30 2 * * *", NEW_YORK, "2026-03-07 12:00", ["03-08 03:00-0400", "03-09 02:30-0400", "03-10 02:30-0400"]),
        ("15 2 * * *", LORD_HOWE, "2026-10-03 12:00", ["10-04 02:30+1100", "10-05 02:15+1100", "10-06 02:15+1100"]),
        ("30 2 * * *", "UTC", "2026-03-28 12:00", ["03-29 02:30+0000", "03-30 02:30+0000", "03-31 02:30+0000"]),
        # However many of its times they go past at once, and whatever comes at that very moment.
        ("0,20,40 2 * * *", BERLIN, "2026-03-28 12:00", ["03-29 03:00+0200", "03-30 02:00+0200", "03-30 02:20+0200"]),
        ("30 2,3 * * *", BERLIN, "2026-03-28 12:00", ["03-29 03:00+0200", "03-29 03:30+0200", "03-30 02:30+0200"]),
        ("0 2,3 * * *", BERLIN, "2026-03-28 12:00", ["03-29 03:00+0200", "03-30 02:00+0200", "03-30 03:00+0200"]),
        # One that clocks show twice comes the first time.
        ("30 2 * * *", BERLIN, "2026-10-24 12:00", ["10-25 02:30+0200", "10-26 02:30+0100", "10-27 02:30+0100"]),
        ("30 1 * * *", NEW_YORK, "2026-10-31 12:00", ["11-01 01:30-0400", "11-02 01:30-0500", "11-03 01:30-0500"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-04 12:00", ["04-05 01:45+1100", "04-06 01:45+1030", "04-07 01:45+1030"]),
        ("30 1 * * *", "UTC", "2026-10-31 12:00", ["11-01 01:30+0000", "11-02 01:30+0000", "11-03 01:30+0000"]),
        # A star follows the time that goes by.
        ("*/30 * * * *", BERLIN, "2026-03-29 01:00", ["03-29 01:30+0100", "03-29 03:00+0200", "03-29 03:30+0200"]),
        (
            "*/30 * * * *",
            BERLIN,
            "2026-10-25 01:45",
            ["10-25 02:00+0200", "10-25 02:30+0200", "10-25 02:00+0100", "10-25 02:30+0100", "10-25 03:00+0100"],
        ),
        ("*/30 * * * *", NEW_YORK, "2026-03-08 01:00", ["03-08 01:30-0500", "03-08 03:00-0400", "03-08 03:30-0400"]),
        (
            "*/30 * * * *",
            NEW_YORK,
            "2026-11-01 00:45",
            ["11-01 01:00-0400", "11-01 01:30-0400", "11-01 01:00-0500", "11-01 01:30-0500", "11-01 02:00-0500"],
        ),
        (
            "*/10 * * * *",
            LORD_HOWE,
            "2026-04-05 01:30",
            ["04-05 01:40+1100", "04-05 01:50+1100", "04-05 01:30+1030", "04-05 01:40+1030", "04-05 01:50+1030"],
        ),
        ("*/10 * * * *", LORD_HOWE, "2026-10-04 01:40", ["10-04 01:50+1030", "10-04 02:30+1100", "10-04 02:40+1100"]),
        ("0 */2 * * *", LORD_HOWE, "2026-04-05 00:00", ["04-05 02:00+1030", "04-05 04:00+1030", "04-05 06:00+1030"]),
        ("30 * * * *", LORD_HOWE, "2026-04-05 01:00", ["04-05 01:30+1100", "04-05 01:30+1030", "04-05 02:30+1030"]),
        ("*/30 * * * *", "UTC", "2026-10-25 01:45", ["10-25 02:00+0000", "10-25 02:30+0000", "10-25 03:00+0000"]),
    ],
)
def test_rule_ticks_as_cron_does_where_the_clocks_change(
    expression: str, timezone: str, since: str, expected: Sequence[str]
) -> None:
    assert first(expression, timezone, since, len(expected)) == expected


@pytest.mark.parametrize(
    ("timezone", "since"),
    [(BERLIN, "2026-10-25 00:00"), (NEW_YORK, "2026-11-01 00:00"), (LORD_HOWE, "2026-04-05 00:00")],
)
def test_rule_of_minutes_ticks_all_the_time_when_an_hour_comes_twice(timezone: str, since: str) -> None:
    found = list(islice(ticks(read_cron("*/10 * * * *", timezone), at(since, timezone)), 60))

    assert {later - earlier for earlier, later in pairwise(found)} == {600_000_000}


@pytest.mark.parametrize(
    ("expression", "expected"), [("30 2 * * *", "10-26 02:30+0100"), ("*/30 * * * *", "10-25 02:30+0100")]
)
def test_ticks_go_on_from_the_middle_of_an_hour_that_came_back(expression: str, expected: str) -> None:
    since = at("2026-10-25 02:10", BERLIN, fold=1)

    assert shown(next(ticks(Cron(expression, BERLIN), since)), BERLIN) == expected


@pytest.mark.parametrize("expression", ["*/20 * * * *", "30 * * * *"])
def test_what_comes_twice_is_not_forgotten_in_the_middle_of_the_first_time(expression: str) -> None:
    since = at("2026-10-25 02:50", BERLIN)

    assert shown(next(ticks(Cron(expression, BERLIN), since)), BERLIN).endswith("+0100")


SIMPLE = st.tuples(
    *(
        st.one_of(st.just("*"), st.sets(st.integers(low, high), min_size=1, max_size=4))
        for low, high in ((0, 59), (0, 4), (1, 31), (1, 12), (0, 6))
    )
)


def by_looking_at_every_minute(fields: Sequence[object], timezone: str, since: datetime, days: int) -> Iterator[int]:
    """When the clocks show what the fields say: the oracle for rules that follow the time that goes by."""
    zone = ZoneInfo(timezone)
    moment = since.replace(second=0) + timedelta(minutes=1)
    either_day = fields[2] != "*" and fields[4] != "*"
    while moment < since + timedelta(days=days):
        local = moment.astimezone(zone)
        values = (local.minute, local.hour, local.day, local.month, local.isoweekday() % 7)
        fits = [
            field == "*" or (isinstance(field, set) and value in field)
            for field, value in zip(fields, values, strict=True)
        ]
        day = (fits[2] or fits[4]) if either_day else (fits[2] and fits[4])
        if fits[0] and fits[1] and fits[3] and day:
            yield micros(moment)
        moment += timedelta(minutes=1)


@settings(max_examples=60, deadline=None)
@given(
    fields=SIMPLE,
    zone_and_day=st.sampled_from(
        [
            (BERLIN, datetime(2026, 3, 28, 20, tzinfo=UTC)),
            (BERLIN, datetime(2026, 10, 24, 20, tzinfo=UTC)),
            (NEW_YORK, datetime(2026, 3, 8, 2, tzinfo=UTC)),
            (NEW_YORK, datetime(2026, 11, 1, 2, tzinfo=UTC)),
            (LORD_HOWE, datetime(2026, 10, 3, 10, tzinfo=UTC)),
            (LORD_HOWE, datetime(2026, 4, 4, 10, tzinfo=UTC)),
            ("Asia/Kathmandu", datetime(2026, 3, 28, 20, tzinfo=UTC)),
        ]
    ),
    minutes=st.integers(0, 8 * 60),
)
def test_rule_with_a_star_ticks_whenever_clocks_show_it(
    fields: Sequence[object], zone_and_day: tuple[str, datetime], minutes: int
) -> None:
    timezone, day = zone_and_day
    since = day + timedelta(minutes=minutes)
    minute_or_hour = [fields[0], "*"] if fields[1] != "*" and fields[0] != "*" else fields[:2]
    asked = [*minute_or_hour, *fields[2:]]
    written = " ".join("*" if field == "*" else ",".join(map(str, sorted(field))) for field in asked)  # type: ignore[call-overload]
    expected = list(by_looking_at_every_minute(asked, timezone, since, days=1))

    found = list(islice(ticks(Cron(written, timezone), micros(since)), len(expected)))

    assert found == expected


@settings(max_examples=60, deadline=None)
@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 4),
    timezone=st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, "UTC", "Asia/Kathmandu"]),
    begin=st.integers(0, 300),
)
def test_time_of_the_day_comes_once_on_every_day_of_the_year(minute: int, hour: int, timezone: str, begin: int) -> None:
    since = at("2026-01-01 12:00", timezone) + begin * 24 * 3600 * 1_000_000
    zone = ZoneInfo(timezone)
    found = islice(ticks(Cron(f"{minute} {hour} * * *", timezone), since), 200)
    days = [datetime.fromtimestamp(tick / 1_000_000, zone).date() for tick in found]

    assert {later - earlier for earlier, later in pairwise(days)} == {timedelta(days=1)}


def test_interval_counts_real_seconds_whatever_the_clocks_do() -> None:
    since = at("2026-10-25 00:00", BERLIN)

    assert list(islice(ticks(Every(3600), since), 4)) == [since + hour * 3_600_000_000 for hour in range(1, 5)]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86_400), ("45", 45), (1, 1), (" 10 S ", 10), ("366d", 31_622_400)],
)
def test_interval_is_a_number_with_or_without_a_unit(written: str | int, seconds: int) -> None:
    assert read_interval(written) == Every(seconds)


@pytest.mark.parametrize(
    "written", [0, -1, "0s", "", "m", "1.5h", "1 week", "1d12h", "-5m", "99999d", "٣m", "1e3", "9" * 50]
)
def test_interval_that_is_none_is_refused(written: str | int) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_interval(written)

    assert (refused.value.code, refused.value.facts["field"]) == ("interval_invalid", "every")
    assert "15m" in refused.value.message("en")
    assert "15m" in refused.value.message("zh")


def test_interval_keeps_its_pace_when_ticks_go_by() -> None:
    tick = at("2026-05-04 12:00")

    assert following(Every(60), tick, tick + 150 * 1_000_000) == tick + 180 * 1_000_000
    assert following(Every(60), tick, tick) == tick + 60 * 1_000_000


@pytest.mark.parametrize(
    ("expression", "code", "part"),
    [
        ("", "cron_fields_not_five", None),
        ("* * * *", "cron_fields_not_five", None),
        ("0 0 3 * * *", "cron_fields_not_five", None),
        ("@reboot", "cron_fields_not_five", None),
        ("* " * 200, "cron_fields_not_five", None),
        ("60 * * * *", "cron_field_invalid", "minute"),
        ("*/0 * * * *", "cron_field_invalid", "minute"),
        ("x * * * *", "cron_field_invalid", "minute"),
        ("* 24 * * *", "cron_field_invalid", "hour"),
        ("* 5-3 * * *", "cron_field_invalid", "hour"),
        ("* * 0 * *", "cron_field_invalid", "day of month"),
        ("* * * 13 *", "cron_field_invalid", "month"),
        ("* * * mai *", "cron_field_invalid", "month"),
        ("* * * * mo", "cron_field_invalid", "day of week"),
        ("* * * * ²", "cron_field_invalid", "day of week"),
        ("0 0 31 2 *", "cron_never", None),
        ("0 0 30 feb *", "cron_never", None),
    ],
)
def test_rule_that_cannot_be_read_is_refused_by_the_name_of_its_part(
    expression: str, code: str, part: str | None
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_cron(expression, "UTC")

    assert (refused.value.code, refused.value.facts.get("part")) == (code, part)
    for language in ("en", "zh"):
        assert "cron" in refused.value.message(language)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789*/-,#LWlw@monfrijan \tx²", max_size=30))
def test_rule_is_read_or_refused_whatever_it_says(expression: str) -> None:
    try:
        rule = read_cron(expression, "UTC")
    except InvalidInput:
        return

    assert next(ticks(rule, at("2026-05-04 12:00"))) > at("2026-05-04 12:00")


@pytest.mark.parametrize(
    "name",
    [
        "Berlin",
        "Europe",
        "",
        ".",
        "../../etc/passwd",
        "/etc/localtime",
        "a\0b",
        "tzdata.zi",
        "x" * 5000,
        "é",
        "GMT+25",
        "localtime",
    ],
)
def test_time_zone_that_nobody_knows_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_cron("0 3 * * *", name)

    assert (refused.value.code, refused.value.facts["field"]) == ("timezone_unknown", "timezone")
    assert "/" in str(refused.value.facts["near"])
    assert "/" in refused.value.message("zh")


def test_time_zone_that_is_nearly_right_is_suggested() -> None:
    with pytest.raises(InvalidInput, match="Europe/Berlin"):
        read_cron("0 3 * * *", "Europe/Brelin")
