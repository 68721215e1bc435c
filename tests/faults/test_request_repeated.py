"""The same request is sent many times at once, as clients do that have lost patience: it is one task."""

import threading
from collections import Counter
from typing import Any

import requests

from gristmill.tasks.model import TaskFilter
from tests.integration.worker.conftest import Mill
from tests.support.service import serving

CLIENTS = 100
KEY = {"Idempotency-Key": "impatient"}


def all_at_once(url: str, bodies: list[dict[str, Any]]) -> list[requests.Response]:
    """Send each body from a client of its own, all in the same moment; the answers in the same order."""
    start = threading.Barrier(len(bodies))
    answers: dict[int, requests.Response] = {}

    def send(number: int) -> None:
        with requests.Session() as session:
            session.trust_env = False
            start.wait()
            answers[number] = session.post(f"{url}/api/tasks", json=bodies[number], headers=KEY, timeout=50)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[number] for number in range(len(bodies))]


def ping(note: str) -> dict[str, Any]:
    return {"kind": "ping", "payload": {"note": note}}


def test_hundred_equal_requests_at_once_are_one_task(mill: Mill) -> None:
    with serving(mill.app.settings.data, mill.database) as service:
        answers = all_at_once(service.url, [ping("the same")] * CLIENTS)

        assert Counter(answer.status_code for answer in answers) == {202: CLIENTS}
        (task,) = service.app.tasks.find(TaskFilter(), limit=200)
        assert {answer.json()["data"]["id"] for answer in answers} == {task.id}
        assert [event.name for event in service.app.tasks.events(task.id)] == ["submitted"]


def test_of_two_requests_under_one_key_one_wins_and_the_other_is_refused_a_hundred_times(mill: Mill) -> None:
    with serving(mill.app.settings.data, mill.database) as service:
        answers = all_at_once(service.url, [ping(("wheat", "rye")[number % 2]) for number in range(CLIENTS)])

        (task,) = service.app.tasks.find(TaskFilter(), limit=200)
        won = ("wheat", "rye").index(task.payload["note"])
        winners, losers = answers[won::2], answers[1 - won :: 2]
        assert Counter(answer.status_code for answer in winners) == {202: CLIENTS // 2}
        assert {answer.json()["data"]["id"] for answer in winners} == {task.id}
        assert Counter(answer.status_code for answer in losers) == {409: CLIENTS // 2}
        assert {(answer.json()["code"], answer.json()["task_id"]) for answer in losers} == {
            ("idempotency_key_reused", task.id)
        }
