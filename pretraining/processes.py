"""One run on several processes, as `torchrun` starts them: each computes a share of the batch, all take the same step.

Alone, every method does nothing or returns its argument, so the training loop has one text for both cases.
"""

import os
from collections.abc import Callable
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

Made = TypeVar("Made")


class Processes:
    """The processes of this run; `rank` 0 also prints, evaluates and saves."""

    def __init__(self, device_name: str = "auto") -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.device_name = device_name
        if self.count > 1:
            on_gpu = torch.cuda.is_available() and device_name in ("auto", "cuda")
            if on_gpu:
                self.device_name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
                torch.cuda.set_device(self.device_name)
            dist.init_process_group("nccl" if on_gpu else "gloo")

    @property
    def is_main(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0

    def average_gradients(self, parameters: list[nn.Parameter], stop: bool) -> bool:
        """Average gradients over the processes; returns whether any of them was asked to stop.

        All gradients travel in one message, the wish to stop as its last number: so all processes stop after the
        same step, and none waits for one that has gone.
        """
        if self.count == 1:
            return stop
        gradients = [parameter.grad for parameter in parameters]
        message = torch.cat([gradient.flatten() for gradient in gradients] + [gradients[0].new_tensor([float(stop)])])
        dist.all_reduce(message)
        message[:-1] /= self.count
        for gradient, part in zip(
            gradients, message[:-1].split([gradient.numel() for gradient in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))
        return message[-1].item() > 0

    def average(self, value: Tensor) -> Tensor:
        """The mean of a tensor over the processes."""
        if self.count > 1:
            dist.all_reduce(value)
            value /= self.count
        return value

    def from_main(self, value: object) -> object:
        """What the main process has under this name, on every process."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            dist.barrier()

    def main_first(self, make: Callable[[], Made]) -> Made:
        """The result of `make` on every process; the main one goes first, so that what is missing is made once."""
        made = make() if self.is_main else None
        self.wait()
        return made if self.is_main else make()

    def close(self) -> None:
        """Leave the group."""
        if self.count > 1 and dist.is_initialized():
            dist.destroy_process_group()
