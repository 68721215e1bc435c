from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

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

    assert keys.valid().check(secret) == key
    assert (key.name, key.scope, key.created_at, key.revoked_at) == ("脚本", Scope.WRITE, clock.now(), None)
    for wrong in (secret[:-1], secret + "x", secret.upper(), key.id, "gm_", "密"):
        with pytest.raises(Unauthorized) as caught:
            keys.valid().check(wrong)
        assert caught.value.code == "key_invalid"


@pytest.mark.parametrize("nothing", [None, ""])
def test_check_says_when_there_is_no_key_at_all(keys: Keys, nothing: str | None) -> None:
    with pytest.raises(Unauthorized) as caught:
        keys.valid().check(nothing)

    assert caught.value.code == "key_missing"


def test_revoked_key_opens_nothing_and_stays_listed(keys: Keys, clock: TestClock) -> None:
    first, first_secret = keys.create("first", "read")
    clock.pass_time(1)
    second, second_secret = keys.create("second", "admin")

    keys.revoke(first.id)

    with pytest.raises(Unauthorized):
        keys.valid().check(first_secret)
    assert keys.valid().check(second_secret) == second
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


def test_there_are_valid_keys_while_one_still_opens(keys: Keys) -> None:
    before = bool(keys.valid())
    key, _ = keys.create("one", "read")
    during = bool(keys.valid())
    keys.revoke(key.id)

    assert (before, during, bool(keys.valid())) == (False, True, False)


def test_keys_of_another_process_are_noticed_within_a_second(keys: Keys, database: Database, clock: TestClock) -> None:
    elsewhere = Keys(database, clock)
    assert not keys.valid()
    key, secret = elsewhere.create("laptop", "read")
    clock.pass_time(1)
    assert keys.valid().check(secret) == key

    elsewhere.revoke(key.id)

    clock.pass_time(1)
    assert not keys.valid()


def test_keys_are_remembered_for_a_second_and_not_longer(keys: Keys, clock: TestClock) -> None:
    _, secret = keys.create("laptop", "read")
    nothing_yet = keys.remembered()
    read = keys.valid()
    clock.pass_time(0.9)
    during = keys.remembered()
    clock.pass_time(0.1)

    assert nothing_yet is None
    assert during is read
    assert read.check(secret).name == "laptop"
    assert keys.remembered() is None


def test_what_was_read_while_a_key_was_revoked_is_not_remembered(database: Database, clock: TestClock) -> None:
    overtaken = _Overtaken(database.url)
    keys = Keys(overtaken, clock)
    key, secret = keys.create("laptop", "read")
    overtaken.meanwhile = lambda: keys.revoke(key.id)

    overtaken_answer = keys.valid()

    assert overtaken_answer.check(secret) == key
    assert not keys.valid()
    overtaken.close()


class _Overtaken(Database):
    """A database on which something else happens between what a transaction reads and its end, once."""

    meanwhile: Callable[[], None] | None = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with super().read() as connection:
            yield connection
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile is not None:
                meanwhile()


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
