"""The command line on a Postgres server: what doctor says of it, and a backup that needs none."""

import sqlite3  # noqa: TID251 - what anybody may look into a backup with
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.integration.cli.terminal import Terminal
from tests.support.postgres import OwnServer, fresh_database, own_server

Library = Callable[[int], Path]


def on(terminal: Terminal, url: str) -> Terminal:
    terminal.extra["GRISTMILL_DATABASE__URL"] = url
    return terminal


def checks(terminal: Terminal) -> dict[str, Any]:
    done = terminal.run("doctor", "--json")
    return {"exit": done.code, **{check["name"]: check for check in done.json["checks"]}}


@pytest.fixture(scope="module")
def small_server() -> Iterator[OwnServer]:
    """Few connections, and in a hurry."""
    with own_server("-c", "max_connections=12") as server:
        yield server


def test_doctor_names_server_and_extension_and_finds_the_rest_in_order(terminal: Terminal) -> None:
    found = checks(on(terminal, fresh_database(migrated=False)))

    assert [name for name, check in found.items() if name != "exit" and not check["ok"]] == ["workers"]
    assert "sqlite" not in found
    assert found["postgres"]["code"] == "doctor_postgres_works"
    assert "Postgres 18" in found["postgres"]["detail"]
    assert "pgvector 0.8" in found["postgres"]["detail"]
    assert found["round trip"]["ok"]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://postgres@127.0.0.1:1/gristmill", "database_unreachable"),
        ("postgresql://postgres@no.such.host.invalid/gristmill", "database_unreachable"),
        ("mysql://somebody@somewhere/gristmill", "database_url_unknown"),
    ],
)
def test_doctor_says_what_is_wrong_with_the_address(terminal: Terminal, url: str, code: str) -> None:
    found = checks(on(terminal, url))

    (check,) = [check for name, check in found.items() if name not in {"exit", "configuration"}]
    assert (check["ok"], check["code"]) == (False, code)
    assert found["exit"] == (1 if code == "database_url_unknown" else 3)


def test_doctor_says_who_is_not_let_in(terminal: Terminal) -> None:
    found = checks(on(terminal, fresh_database().replace("postgres:@", "stranger:secret@")))

    assert found["exit"] == 3
    assert found["postgres"]["code"] == "database_refused"
    assert "stranger" in found["postgres"]["detail"]
    assert "secret" not in found["postgres"]["detail"]


def test_doctor_says_that_the_user_may_not_make_the_extension(terminal: Terminal) -> None:
    url = fresh_database(migrated=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS lodger")
        connection.execute("CREATE ROLE lodger LOGIN")

    found = checks(on(terminal, url.replace("postgres:@", "lodger@")))

    assert found["exit"] == 3
    assert found["postgres"]["ok"]
    assert found["database"]["code"] == "database_forbids"
    assert "CREATE EXTENSION vector" in found["database"]["detail"]


def test_doctor_and_migrate_say_that_the_server_has_no_pgvector(terminal: Terminal) -> None:
    with own_server("-c", "extension_control_path=/nowhere") as server:
        found = checks(on(terminal, server.url()))
        migrated = terminal.run("migrate")

    assert found["exit"] == 3
    assert (found["postgres"]["ok"], found["postgres"]["code"]) == (False, "pgvector_missing")
    assert "postgresql-NN-pgvector" in found["postgres"]["detail"]
    assert (migrated.code, "pgvector" in migrated.err, "Traceback" in migrated.err) == (3, True, False)


def test_doctor_says_that_there_are_too_few_connections_and_goes_on(
    terminal: Terminal, small_server: OwnServer
) -> None:
    found = checks(on(terminal, small_server.url()))

    assert (found["postgres"]["ok"], found["postgres"]["code"]) == (False, "doctor_postgres_small")
    assert "max_connections" in found["postgres"]["remedy"]
    assert found["database"]["ok"]


def test_doctor_says_that_the_server_forgets(terminal: Terminal) -> None:
    url = fresh_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{connection.info.dbname}" SET synchronous_commit = off')

    found = checks(on(terminal, url))

    assert (found["postgres"]["ok"], found["postgres"]["code"]) == (False, "doctor_postgres_forgets")


def test_backup_of_a_server_is_a_gristmill_that_needs_none(
    terminal: Terminal, library: Library, tmp_path: Path
) -> None:
    on(terminal, fresh_database())
    terminal.json("index", library(3))
    file, restored = terminal.home / "backup.tar", terminal.home / "restored"

    written = terminal.json("backup", file)
    with tarfile.open(file) as archive:
        archive.extractall(restored, filter="data")
    del terminal.extra["GRISTMILL_DATABASE__URL"]

    assert written["size"] == file.stat().st_size
    assert len(terminal.json("--data", restored, "search", "sweeper")["hits"]) == 3
    assert len(terminal.json("--data", restored, "search", "清扫器")["hits"]) == 3
    (database,) = restored.glob("*.db")
    with sqlite3.connect(database) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.close()
    # And back on a server again.
    target = fresh_database(migrated=False)
    assert terminal.json("--data", restored, "migrate", "--to", target)["copied"] > 0
    assert len(terminal.json("--data", restored, "search", "sweeper")["hits"]) == 3
