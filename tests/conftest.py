"""What all tests share."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Two threads on tensors this small only wait for each other, and one thread sums in one order."""
    torch.set_num_threads(1)
