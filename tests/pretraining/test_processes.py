"""Several processes are one run: the same mean gradient and the same decision to stop, on each of them."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch
from torch import nn

from pretraining.processes import Processes
from pretraining.settings import ROOT

WORKER = """
import json
import torch
from torch import nn
from pretraining.processes import Processes

processes = Processes("cpu")
told = {"main": processes.is_main, "device": processes.device_name}
parameters = [nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(4))]
for round, asked_by in enumerate([None, 1, 0, (0, 1)]):
    for number, parameter in enumerate(parameters):
        parameter.grad = torch.arange(parameter.numel()).reshape(parameter.shape) * (1.0 + processes.rank) + number
    asked = processes.rank == asked_by or (asked_by == (0, 1))
    told[f"stop {round}"] = processes.average_gradients(parameters, stop=asked)
told["gradients"] = [parameter.grad.tolist() for parameter in parameters]
told["average"] = processes.average(torch.tensor(float(processes.rank))).item()
told["from main"] = processes.from_main({"steps": 10 + processes.rank})
processes.wait()
processes.close()
print(json.dumps(told))
"""


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope="module")
def told() -> list[dict]:
    """What two processes had to say, with the environment that torchrun gives them."""
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER],
            env=os.environ | shared | {"PYTHONPATH": str(ROOT), "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        answers = [worker.communicate(timeout=60)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    return [json.loads(answer.splitlines()[-1]) for answer in answers]


def test_one_process_speaks_for_all(told):
    assert [answer["main"] for answer in told] == [True, False]


def test_gradients_become_their_mean_everywhere(told):
    """A sum would double the step, and the clipping with it; the wish to stop must not leak into them."""
    expected = [
        (torch.arange(6.0) * 1.5).reshape(2, 3).tolist(),
        (torch.arange(4.0) * 1.5 + 1).tolist(),
    ]
    assert all(answer["gradients"] == expected for answer in told)


@pytest.mark.parametrize("asking, stop", [(0, False), (1, True), (2, True), (3, True)])
def test_all_stop_after_the_same_step_whoever_was_asked(told, asking, stop):
    """A process that goes on alone waits for ever for the other's gradients."""
    assert [answer[f"stop {asking}"] for answer in told] == [stop, stop]


def test_numbers_are_averaged_and_decisions_are_those_of_the_main_process(told):
    """Each measures its own speed; runs of different length would wait for each other at the end."""
    assert [answer["average"] for answer in told] == [0.5, 0.5]
    assert [answer["from main"] for answer in told] == [{"steps": 10}] * 2


def test_alone_nothing_happens(monkeypatch):
    """The loop has one text for both cases, so a single process must pass through untouched."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda *_: pytest.fail("a group was opened"))
    processes = Processes("cpu")
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([1.0, 2.0, 3.0])
    gradient, value, box = parameter.grad.clone(), torch.tensor(2.5), object()
    assert [processes.average_gradients([parameter], stop) for stop in (False, True)] == [False, True]
    assert torch.equal(parameter.grad, gradient)
    assert processes.average(value) is value and value == 2.5 and processes.from_main(box) is box
    assert processes.is_main and processes.count == 1 and processes.device_name == "cpu"
    processes.wait()
    processes.close()
