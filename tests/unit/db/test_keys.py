from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.db.database import Database
from gristmill.db.keys import Keys, Scope
from gristmill.errors import InvalidInput, NotFound, Unauthorized
from tests.support.clock import TestClock


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'keys.db'}")
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def keys(database: Database, clock: TestClock) -> Keys:
    return Keys(database, clock)


def test_key_opens_with_its_secret_and_nothing_else(keys: Keys, clock: TestClock) -> None:
    key, secret = keys.create("脚本", "write")

    assert keys.check(secret) == key
    assert (key.name, key.scope, key.created_at, key.revoked_at) == ("脚本", Scope.WRITE, clock.now(), None)
    for wrong in (secret[:-1], secret + "x", secret.upper(), key.id, "gm_", "密"):
        with pytest.raises(Unauthorized) as caught:
            keys.check(wrong)
        assert caught.value.code == "key_invalid"


@pytest.mark.parametrize("nothing", [None, ""])
def test_check_says_when_there_is_no_key_at_all(keys: Keys, nothing: str | None) -> None:
    with pytest.raises(Unauthorized) as caught:
        keys.check(nothing)

    assert caught.value.code == "key_missing"


def test_revoked_key_opens_nothing_and_stays_listed(keys: Keys, clock: TestClock) -> None:
    first, first_secret = keys.create("first", "read")
    clock.pass_time(1)
    second, second_secret = keys.create("second", "admin")

    keys.revoke(first.id)

    with pytest.raises(Unauthorized):
        keys.check(first_secret)
    assert keys.check(second_secret) == second
    assert [(key.name, key.revoked_at) for key in keys.all()] == [("first", clock.now()), ("second", None)]


@pytest.mark.parametrize("known", [True, False])
def test_revoke_refuses_what_is_no_valid_key(keys: Keys, *, known: bool) -> None:
    key_id = "nobody"
    if known:
        key_id = keys.create("once", "read")[0].id
        keys.revoke(key_id)

    with pytest.raises(NotFound) as caught:
        keys.revoke(key_id)

    assert caught.value.facts == {"key_id": key_id}


def test_any_valid_counts_keys_that_still_open(keys: Keys) -> None:
    before = keys.any_valid()
    key, _ = keys.create("one", "read")
    during = keys.any_valid()
    keys.revoke(key.id)

    assert (before, during, keys.any_valid()) == (False, True, False)


def test_create_refuses_an_unknown_scope(keys: Keys) -> None:
    with pytest.raises(InvalidInput, match="read, write, admin"):
        keys.create("x", "root")

    assert keys.all() == []


def test_secrets_are_long_differ_and_are_not_stored(keys: Keys, database: Database) -> None:
    secrets = {keys.create(str(number), "read")[1] for number in range(5)}
    database.close()

    stored = b"".join(path.read_bytes() for path in database.path.parent.iterdir())
    assert len(secrets) == 5
    assert all(secret.startswith("gm_") and len(secret) >= 43 for secret in secrets)
    assert all(secret.encode() not in stored for secret in secrets)


@pytest.mark.parametrize("scope", Scope)
def test_scope_includes_those_before_it(scope: Scope) -> None:
    order = [Scope.READ, Scope.WRITE, Scope.ADMIN]

    assert [scope.allows(needed) for needed in order] == [order.index(scope) >= at for at in range(3)]
