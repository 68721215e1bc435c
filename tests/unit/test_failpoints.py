import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gristmill
from gristmill.failpoints import NAMES, InjectedFault, arm, failpoint
from tests.support.processes import python_environment

SOURCE = Path(gristmill.__file__).parent
CALL = re.compile(r'failpoint\("(\w+)"\)')


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm("")


def test_failpoint_does_nothing_unless_it_is_armed() -> None:
    failpoint("after_claim")
    arm("before_finish:raise")

    failpoint("after_claim")
    with pytest.raises(InjectedFault, match="before_finish"):
        failpoint("before_finish")


def test_failpoint_strikes_only_the_time_that_was_asked_for() -> None:
    arm("after_claim:raise@2, mid_sweep:raise")

    failpoint("after_claim")
    with pytest.raises(InjectedFault):
        failpoint("after_claim")
    failpoint("after_claim")
    with pytest.raises(InjectedFault):
        failpoint("mid_sweep")


@pytest.mark.parametrize("specification", ["nowhere:kill", "after_claim:sing", "after_claim", "after_claim:kill@soon"])
def test_failpoint_refuses_what_would_inject_nothing(specification: str) -> None:
    with pytest.raises(ValueError, match=r"GRISTMILL_FAILPOINT|soon"):
        arm(specification)


@pytest.mark.parametrize(
    ("deed", "status"), [("kill", -signal.SIGKILL), ("abort", -signal.SIGABRT), ("exit", 70), ("raise", 1)]
)
def test_failpoint_ends_the_process_it_is_armed_in(deed: str, status: int) -> None:
    program = 'from gristmill.failpoints import failpoint; failpoint("after_claim"); print("went on")'
    environment = python_environment(GRISTMILL_FAILPOINT=f"after_claim:{deed}")

    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)

    assert ended.returncode == status
    assert ended.stdout == b""


def test_failpoint_names_are_those_in_the_code() -> None:
    called = {name for path in SOURCE.rglob("*.py") for name in CALL.findall(path.read_text("utf-8"))}

    assert called == set(NAMES)
