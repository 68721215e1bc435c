"""How a slot leaves the processor to others, so that answers stay fast while documents are indexed on every core."""

import ctypes
import os
import platform
import struct
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["step_back"]

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""The system call by machine: C libraries before 2025 have no name for it."""
_SCHED_ATTR = "=IIQiIQQQ"
"""``struct sched_attr``: its size, policy, flags, niceness, priority, length of a turn, deadline, period."""
_TURN_NS = 5_000_000
_IDLE_FROM = 19
"""Niceness of who wants the processor only when nobody else does; less of it asks for a share while others compute."""


def step_back(nice: int) -> None:
    """Leave the processor to others: this thread, and those it starts from now on."""
    level = os.nice(nice)
    if sys.platform != "linux" or nice == 0:
        return
    # Linux may schedule each session as a group of its own, in which niceness only ranks its members. The group steps
    # back half as far, as threads that do not step back are in it too; unless it is somebody's who works in it.
    if os.getsid(0) in (os.getpid(), os.getppid()):
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(nice // 2), encoding="ascii")
    # Niceness says how much of the time others get, not how soon. Linux lets nobody interrupt the turn of another
    # unless that one asked for longer turns than usual: without it, whoever waits for the disk while all cores
    # compute waits 4 ms longer each time. A kernel that knows no length of turns ignores it.
    _schedule(os.SCHED_BATCH, level, _TURN_NS)
    if level >= _IDLE_FROM:
        # A core where only idle work goes on counts as free: whoever wakes up is sent there instead of waiting in turn.
        _schedule(os.SCHED_IDLE, level, 0)


def _schedule(policy: int, nice: int, turn_ns: int) -> None:
    """Set the policy of this thread; a machine whose number for the call is unknown keeps what it has."""
    number = _SCHED_SETATTR.get(platform.machine())
    if number is not None:
        attributes = struct.pack(_SCHED_ATTR, struct.calcsize(_SCHED_ATTR), policy, 0, nice, 0, turn_ns, 0, 0)
        ctypes.CDLL(None, use_errno=True).syscall(number, 0, attributes, 0)
