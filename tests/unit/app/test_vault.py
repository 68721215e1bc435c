"""Secrets in payloads: unreadable in the database and wherever a task is shown, readable where it runs."""

import json
import sqlite3  # noqa: TID251 - reads the file as a thief would
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from gristmill.api.schemas.tasks import TaskView
from gristmill.app import open_gristmill
from gristmill.app.vault import KeyVault
from gristmill.canvas import chain, group, kind
from gristmill.cli.views import task_json
from gristmill.errors import InvalidInput
from gristmill.kinds import KINDS, without_secrets
from gristmill.settings import Settings
from gristmill.tasks.secrets import opened
from gristmill.tasks.workflow import Step, from_stored, payloads_of

SIGNED = "https://files.example/report.pdf?X-Amz-Signature=0123abcd"
ping = kind("ping")
KIND = KINDS["process_document"]


def key() -> SecretStr:
    return SecretStr(Fernet.generate_key().decode())


def test_signed_url_is_stored_encrypted_and_shown_masked(tmp_path: Path) -> None:
    app = open_gristmill(Settings(data=tmp_path / "data"))
    task = app.tasks.submit("process_document", {"source": SIGNED, "split": True})
    app.database.close()

    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("gristmill.db*"))
    with sqlite3.connect(tmp_path / "data" / "gristmill.db") as thief:
        ((payload,),) = thief.execute("SELECT payload FROM tasks").fetchall()

    assert b"0123abcd" not in stored
    assert "report.pdf?***" in payload
    for shown in (TaskView.of(task, language="en", now=0).payload, task_json(task, "en")["payload"]):
        assert shown == {"source": "https://files.example/report.pdf?***", "split": True}
    assert opened(KIND, app.tasks.get(task.id).payload, app.vault) == {"source": SIGNED, "split": True}
    app.close()


@pytest.mark.parametrize("steps", [1, 100])
def test_signed_url_is_as_safe_within_a_workflow_and_within_a_schedule(tmp_path: Path, steps: int) -> None:
    app = open_gristmill(Settings(data=tmp_path / "data"))
    # So many that the tree is packed, and one that is as it was handed in.
    fetch = Step(
        kind="process_document",
        payload={"source": SIGNED},
        compensate=Step(kind="index_source", payload={"source": SIGNED}),
    )
    work = chain(*[ping.s("before") for _ in range(steps)], group(fetch, fetch))
    task = app.workflows.submit(work)
    app.schedules.add("nightly", kind="workflow", payload=app.workflows.payload(work), every="1h")
    recurring = app.schedules.run("nightly")
    app.database.close()

    with sqlite3.connect(tmp_path / "data" / "gristmill.db") as thief:
        stored = thief.execute("SELECT payload FROM tasks UNION ALL SELECT payload FROM schedules").fetchall()

    assert len(stored) == 3
    for (text,) in stored:
        for payload in payloads_of(from_stored(json.loads(text)["tree"])):
            assert "0123abcd" not in str(payload)
    for one in (task, recurring):
        assert "0123abcd" not in json.dumps(TaskView.of(one, language="en", now=0).payload)
        own = next(payload for payload in payloads_of(from_stored(one.payload["tree"])) if "source" in payload)
        assert opened(KIND, app.tasks.draft("process_document", own).payload, app.vault) == {"source": SIGNED}
    app.close()


def test_payload_without_a_secret_needs_no_key(tmp_path: Path) -> None:
    app = open_gristmill(Settings(data=tmp_path / "data"))
    task = app.tasks.submit("process_document", {"source": "https://files.example/report.pdf"})
    app.close()

    assert task.payload == {"source": "https://files.example/report.pdf"}
    assert not app.paths.secret_key.exists()


def test_request_that_is_repeated_is_known_although_it_is_encrypted_anew(tmp_path: Path) -> None:
    app = open_gristmill(Settings(data=tmp_path / "data"))
    fetch = Step(kind="process_document", payload={"source": SIGNED})
    first, again = (app.tasks.submit(fetch.kind, fetch.payload, idempotency_key="k") for _ in range(2))
    whole, repeated = (app.workflows.submit(fetch | ping.s(), idempotency_key="w") for _ in range(2))
    app.close()

    assert (first.id, whole.id) == (again.id, repeated.id)


def test_key_file_is_for_its_owner_alone_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    vaults = [KeyVault(Settings(), path) for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda vault: vault.seal("secret"), vaults))

    assert path.stat().st_mode & 0o777 == 0o600
    assert {KeyVault(Settings(), path).open("source", token) for token in tokens} == {"secret"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret.key"]


def test_new_key_leaves_what_the_old_one_encrypted_readable(tmp_path: Path) -> None:
    old, new = key(), key()
    token = KeyVault(Settings(secret_key=old), tmp_path / "unused").seal("secret")
    vault = KeyVault(Settings(secret_key=new, old_secret_keys=(old,)), tmp_path / "unused")

    assert vault.open("source", token) == "secret"
    assert KeyVault(Settings(secret_key=new), tmp_path / "unused").open("source", vault.seal("newer")) == "newer"


def test_secret_of_a_lost_key_is_named_and_says_what_to_do(tmp_path: Path) -> None:
    token = KeyVault(Settings(secret_key=key()), tmp_path / "unused").seal("secret")

    with pytest.raises(InvalidInput) as caught:
        KeyVault(Settings(secret_key=key()), tmp_path / "unused").open("source", token)

    assert (caught.value.code, caught.value.facts) == ("secret_unreadable", {"field": "source"})
    assert "old_secret_keys" in caught.value.message()


@pytest.mark.parametrize("field", ["secret_key", "old_secret_keys"])
def test_key_that_is_none_is_refused_without_showing_it(tmp_path: Path, field: str) -> None:
    wrong = SecretStr("open sesame")
    settings = Settings(secret_key=wrong) if field == "secret_key" else Settings(old_secret_keys=(wrong,))

    with pytest.raises(InvalidInput) as caught:
        KeyVault(settings, tmp_path / "secret.key").seal("secret")

    assert (caught.value.code, caught.value.facts) == ("secret_key_invalid", {"field": field})


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("https://host/path", "https://host/path"),
        ("https://host/path?token=1", "https://host/path?***"),
        ("https://me:secret@host/a@b", "https://***@host/a@b"),
        ("folder/what?.pdf", "folder/what?.pdf"),
    ],
)
def test_only_what_may_be_secret_is_masked(source: str, shown: str) -> None:
    assert without_secrets(source) == shown
