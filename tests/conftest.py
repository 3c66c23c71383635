"""What all tests share."""

import signal

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Two threads on tensors this small only wait for each other, and one thread sums in one order."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def signals_that_arrive():
    """A shell's background jobs ignore Ctrl-C, nohup's ignore SIGHUP, and all that tests start would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
