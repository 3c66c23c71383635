"""What the tests of the tasks share: a sandbox, and some documents as training would get them."""

from itertools import islice

import pytest

from evaluation.sandbox.pool import Sandbox, SandboxUnavailable
from evaluation.tasks.training_exercises import Document, Report, documents


@pytest.fixture(scope="session")
def sandbox():
    try:
        with Sandbox() as started:
            yield started
    except SandboxUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def written() -> list[Document]:
    """A thousand documents for training."""
    return list(islice(documents(3, Report()), 1000))
