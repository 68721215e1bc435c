"""Flower on our broker: behind a password, with our tasks by name, and a terminate that is a cancel."""

import stat

import pytest
import requests

from gristmill.tasks.model import TaskState
from tests.support.celery_bench import LONG_SECONDS, CeleryBench
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(120)


PAGES = ("/", "/workers", "/tasks", "/broker", "/metrics", "/api/tasks", "/api/workers", "/api/queues/length")


def flower(bench: CeleryBench, *flags: str, **variables: str) -> str:
    """Start Flower; where it is."""
    bench.start("gristmill.cli.main", "flower", "--port", "0", *flags, **variables)

    def listens() -> str | None:
        _, _, rest = bench.logs().partition("Flower is at ")
        return rest.split(". ")[0].strip() or None

    return eventually(listens, seconds=40)


def kept_password(bench: CeleryBench) -> tuple[str, str]:
    """User and password as they lie in the data directory."""
    user, _, password = (bench.app.settings.data / "flower.password").read_text().strip().partition(":")
    return user, password


def test_password_is_made_up_shown_once_and_kept_for_the_owner_alone(bench: CeleryBench) -> None:
    url = flower(bench)

    user, password = kept_password(bench)
    file = bench.app.settings.data / "flower.password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert bench.logs().count(password) == 1
    assert {page: requests.get(url + page, timeout=20).status_code for page in PAGES} == dict.fromkeys(PAGES, 401)
    wrong = {page: requests.get(url + page, auth=(user, "wrong"), timeout=20).status_code for page in PAGES}
    assert wrong == dict.fromkeys(PAGES, 401)
    right = {page: requests.get(url + page, auth=(user, password), timeout=20).status_code for page in PAGES}
    assert right == dict.fromkeys(PAGES, 200)


def test_second_start_keeps_the_password_and_does_not_show_it(bench: CeleryBench) -> None:
    flower(bench)
    before = kept_password(bench)
    again = bench.start("gristmill.cli.main", "flower", "--port", "0")

    assert eventually(lambda: bench.logs().count("Flower is at") == 2, seconds=40)
    assert again.poll() is None
    assert kept_password(bench) == before
    assert bench.logs().count(before[1]) == 1


def test_credentials_of_the_environment_are_taken(bench: CeleryBench) -> None:
    url = flower(bench, FLOWER_BASIC_AUTH="mill:stone")

    assert requests.get(url, auth=("mill", "stone"), timeout=20).status_code == 200
    assert requests.get(url, auth=("mill", "other"), timeout=20).status_code == 401
    assert not (bench.app.settings.data / "flower.password").exists()


@pytest.mark.parametrize("given", ["stone", ":stone", "mill:", "mill:stone,"])
def test_credentials_without_user_or_password_are_refused(bench: CeleryBench, given: str) -> None:
    process = bench.start("gristmill.cli.main", "flower", "--port", "0", FLOWER_BASIC_AUTH=given)

    assert process.wait(30) == 2
    assert "user:password" in bench.logs()


def test_tasks_are_shown_by_name_and_can_be_terminated(bench: CeleryBench) -> None:
    url = flower(bench, FLOWER_BASIC_AUTH="mill:stone")
    session = requests.Session()
    session.auth = ("mill", "stone")
    bench.worker("--task-events", "-c", "1")
    done = bench.app.tasks.submit("ping", {"note": "secret"})
    failed = bench.app.tasks.submit("index_document", {"doc_id": 404, "user_id": 1})
    running = bench.ping(LONG_SECONDS)
    bench.reaches(TaskState.PROCESSING, running)

    def shown() -> dict[str, tuple[str, str, str]]:
        tasks = session.get(f"{url}/api/tasks", timeout=20).json()
        return {task_id: (task["name"], task["state"], task["kwargs"]) for task_id, task in tasks.items()}

    assert eventually(lambda: shown().get(running.id) == ("ping_task", "STARTED", "{'seconds': 60.0}"), seconds=20)
    assert shown()[done.id] == ("ping_task", "SUCCESS", "{}")
    assert shown()[failed.id] == ("index_document_task", "FAILURE", "{'doc_id': 404, 'user_id': 1}")
    assert session.get(f"{url}/api/task/result/{done.id}", timeout=20).json()["result"] == {"note": "secret"}

    answer = session.post(f"{url}/api/task/revoke/{running.id}", params={"terminate": "true"}, timeout=20)

    assert answer.status_code == 200
    bench.reaches(TaskState.CANCELLED, running)
    assert eventually(lambda: shown()[running.id][1] == "REVOKED", seconds=20)


def test_revoke_in_flower_is_not_forgotten_although_no_worker_is_up(bench: CeleryBench) -> None:
    url = flower(bench, FLOWER_BASIC_AUTH="mill:stone")
    task = bench.ping()

    requests.post(f"{url}/api/task/revoke/{task.id}", auth=("mill", "stone"), timeout=20).raise_for_status()

    assert bench.app.store.get(task.id).state is TaskState.CANCELLED
