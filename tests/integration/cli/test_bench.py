"""The comparison of engines runs for real, on a broker of its own, and leaves nothing behind."""

from pathlib import Path

import pytest

from tests.integration.cli.terminal import Terminal


@pytest.mark.parametrize("engines", [("local", "celery", "rq"), ("bare celery", "bare rq")])
def test_bench_measures_engines_and_draws_them(terminal: Terminal, tmp_path: Path, engines: tuple[str, ...]) -> None:
    plot = tmp_path / "engines.svg"

    arguments = ("--counts", "2,4", "--seconds", "0", "--slots", "1", "--no-recovery", "--plot", plot)
    done = terminal.run("bench", "engines", "--only", ",".join(engines), *arguments, "--json")

    assert done.code == 0, done.err
    throughput = done.json["throughput"]
    assert [(row["contender"], row["task_seconds"], row["tasks"]) for row in throughput] == [
        (engine, 0, count) for engine in engines for count in (2, 4)
    ]
    assert all(row["per_second"] > 0 and row["memory_mb"] > 10 for row in throughput)
    assert [row["contender"] for row in done.json["recovery"]] == list(engines)
    assert plot.read_text("utf-8").startswith("<?xml")
    assert terminal.processes() == []


def test_bench_tells_how_long_a_killed_workers_task_waits(terminal: Terminal) -> None:
    arguments = ("--only", "local", "--counts", "2", "--seconds", "0", "--slots", "1")
    done = terminal.run("bench", "engines", *arguments, "--json")

    (row,) = done.json["recovery"]
    assert 0 < row["recovery_seconds"] < row["patience_seconds"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--only", "kafka"), "'kafka' is none of local, celery, rq"),
        (("--counts", "many"), "'many' is not a list of numbers"),
        (("--slots", "0"), "--slots"),
    ],
)
def test_wrong_use_of_bench_is_refused(terminal: Terminal, arguments: tuple[str, ...], says: str) -> None:
    refused = terminal.run("bench", "engines", *arguments)

    assert refused.code == 2
    assert says in refused.err
