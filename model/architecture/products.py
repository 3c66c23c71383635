"""Products of float32 matrices on a CPU, by the faster one of two libraries.

There PyTorch multiplies with Intel's MKL, which on an AMD processor took twice as long as oneDNN, which is in every x86
build of PyTorch as well. Its product comes without a gradient; here it has one.
"""

import torch
from torch import Tensor

HAS_BOTH_LIBRARIES = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()


def serves(*tensors: Tensor) -> bool:
    """Whether `multiply` is for these tensors: float32 on a CPU, with nothing rounding them on the way."""
    return (
        HAS_BOTH_LIBRARIES
        and all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)
        and not torch.is_autocast_enabled("cpu")
    )


def multiply(x: Tensor, y: Tensor) -> Tensor:
    """`x @ y.T` of (..., n) and (m, n), in any layout: (..., m)."""
    if torch.compiler.is_compiling() or (torch.is_grad_enabled() and (x.requires_grad or y.requires_grad)):
        return _multiply(x, y)
    return _onednn(x, y)


def _onednn(x: Tensor, y: Tensor) -> Tensor:
    if not (x.numel() and y.numel()):  # of which it knows nothing
        return x @ y.mT
    return torch.ops.mkldnn._linear_pointwise(x, y, None, "none", [], "")


# An operator of its own, which torch.compile takes as it is: it would copy matrices that are not contiguous.
@torch.library.custom_op("mini_llm::multiply", mutates_args=(), device_types="cpu")
def _multiply(x: Tensor, y: Tensor) -> Tensor:
    return _onednn(x, y)


@_multiply.register_fake
def _(x: Tensor, y: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], y.shape[0])


def _keep(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor]:
    x, y = ctx.saved_tensors
    gradient = gradient.contiguous()  # that of a sum is one number for all places, which oneDNN does not read
    rows, columns = gradient.flatten(0, -2).mT, x.flatten(0, -2).mT
    # Long sums are nearly twice as fast with the larger matrix last.
    gradient_of_y = multiply(rows, columns) if len(rows) <= len(columns) else multiply(columns, rows).mT.contiguous()
    return multiply(gradient, y.mT), gradient_of_y


_multiply.register_autograd(_gradients, setup_context=_keep)
