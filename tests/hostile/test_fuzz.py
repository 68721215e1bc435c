"""Requests that nobody would write, made up from the API's own description of itself."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gristmill.messages import CATALOGUE
from tests.support.service import Service, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

EXAMPLES = 20
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An API without a worker that does not wait for one."""
    limits = {"index": {"sync_wait_seconds": 0.0}, "sources": {"max_file_mb": 1}}
    with serving(tmp_path_factory.mktemp("fuzz"), limits) as service:
        service.register("The mill ground forty-two sacks of rye.")
        yield service


def test_answer_to_any_request_is_as_described(target: Service) -> None:
    described = schemathesis.openapi.from_dict(target.get("/openapi.json").json())
    operations = [found.ok() for found in described.get_all_operations() if isinstance(found, Ok)]

    for operation in operations:
        # Without a worker it answers 503, as it should.
        if operation.path != "/health/ready":
            _try_out(target, operation)

    assert len(operations) > 25


def _try_out(target: Service, operation: Any) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        response = case.call(base_url=target.url, session=target.session)

        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 400:
            problem = response.json()
            assert response.headers["content-type"] == ["application/problem+json"]
            assert problem["code"] in CATALOGUE
            assert problem["status"] == response.status_code

    check()
