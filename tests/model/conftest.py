"""What the tests of this room share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on tensors this small only wait for each other, most of all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
