"""What the tests of the sandbox share."""

import sys

import pytest

from evaluation.sandbox.pool import Limits, Sandbox

LINUX_ALONE = pytest.mark.skipif(sys.platform != "linux", reason="these walls are those of Linux")


@pytest.fixture(scope="session")
def sandbox():
    """One sandbox with one worker for all tests that only want verdicts."""
    with Sandbox(Limits(cpu_seconds=1, wall_seconds=1.5), workers=1) as opened:
        yield opened


@pytest.fixture
def judge(sandbox):
    """The verdict on one job."""
    return lambda job: next(sandbox.judge([job]))
