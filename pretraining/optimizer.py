"""What turns gradients into steps: Muon for the matrices inside the blocks, AdamW for everything else.

One `learning_rate` serves all. Muon's update is scaled to the size that AdamW's would have, so the same number fits
both (Liu et al. 2025, "Muon is scalable for LLM training"); fixed ratios per group are in GROUP_RATIOS.
"""

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from model.architecture import products

# A group's learning rate is the run's rate times its ratio. An embedding row is touched only when its token occurs,
# so it may move further each time.
GROUP_RATIOS = {"matrices": 1.0, "embedding": 5.0, "head": 1.0, "norms": 1.0}
NEWTON_SCHULZ_STEPS = 5
NEWTON_SCHULZ_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # steepest at zero that still stays bounded (Jordan 2024)


def orthogonalize(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """Replace each matrix (..., rows, columns), rows <= columns, by nearly the closest one with equal singular values.

    Newton-Schulz iteration (Jordan et al. 2024, Muon): a polynomial in X X^T drives all singular values towards 1
    without ever computing them. Runs in `dtype`, since an error of a percent does no harm here.
    """
    a, b, c = NEWTON_SCHULZ_COEFFICIENTS
    x = matrices.to(dtype)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)  # largest singular value at most 1
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = _product(x, x.mT)
        x = a * x + _product(b * gram + c * _product(gram, gram), x)
    return x.to(matrices.dtype)


def _product(x: Tensor, y: Tensor) -> Tensor:
    """`x @ y` of matrices or stacks of them."""
    if x.ndim == 3 and products.serves(x, y):
        return torch.stack([products.multiply(one, other.mT) for one, other in zip(x, y, strict=True)])
    return x @ y


class Muon(Optimizer):
    """Momentum whose update has all its singular values made equal, so that rare directions are learnt too.

    Matrices of one shape (a tall one counts as its transpose) are stacked and orthogonalised in one batch: a few
    large products instead of dozens of small ones.
    """

    def __init__(
        self, params: list[dict], momentum: float = 0.95, weight_decay: float = 0.1, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__(params, {"lr": 0.0, "momentum": momentum, "weight_decay": weight_decay})
        self.newton_schulz_dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            stacks: dict[tuple[int, int], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    stacks.setdefault(tuple(sorted(parameter.shape)), []).append(parameter)
            for parameters in stacks.values():
                self._step_stack(parameters, group)

    def _step_stack(self, parameters: list[nn.Parameter], group: dict) -> None:
        """One update of all matrices of one shape."""
        directions = []
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
            direction = parameter.grad.lerp(state["momentum"], group["momentum"])  # Nesterov: look one step ahead
            directions.append(direction if wide(parameter) else direction.mT)
        updates = orthogonalize(torch.stack(directions), self.newton_schulz_dtype)
        scale = 0.2 * max(parameters[0].shape) ** 0.5  # an update's root-mean-square becomes 0.2, as AdamW's is
        for parameter, update in zip(parameters, updates, strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update if wide(parameter) else update.mT, alpha=-group["lr"] * scale)


def wide(matrix: Tensor) -> bool:
    """Whether a matrix has at least as many columns as rows, the way round that makes Newton-Schulz cheap."""
    return matrix.shape[0] <= matrix.shape[1]


def parameter_groups(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Every parameter of the model in exactly one of the groups of GROUP_RATIOS."""
    groups: dict[str, list[nn.Parameter]] = {name: [] for name in GROUP_RATIOS}
    for name, parameter in model.named_parameters():
        if name == "token_embedding.weight":
            groups["embedding"].append(parameter)
        elif name == "head.weight":
            groups["head"].append(parameter)
        elif parameter.ndim == 1:
            groups["norms"].append(parameter)
        else:
            groups["matrices"].append(parameter)
    return groups


def build_optimizers(
    model: nn.Module, kind: str, weight_decay: float, newton_schulz_dtype: torch.dtype = torch.float32
) -> list[Optimizer]:
    """The optimizers of a run: `kind` is "muon" (Muon and AdamW) or "adamw" (AdamW alone, all at one rate).

    Weight decay pulls on matrices (with "adamw" on the head as well), not on norms nor on the embedding, whose rare
    rows would only fade.
    """
    groups = parameter_groups(model)
    if kind == "adamw":
        groups = {"matrices": groups["matrices"] + groups["head"], "rest": groups["embedding"] + groups["norms"]}
        return [_adamw(groups, dict.fromkeys(groups, 1.0), {"matrices": weight_decay})]
    if kind != "muon":
        raise ValueError(f"unknown optimizer {kind!r}; choose muon or adamw")
    matrices = [{"params": groups.pop("matrices"), "ratio": GROUP_RATIOS["matrices"]}]
    muon = Muon(matrices, weight_decay=weight_decay, dtype=newton_schulz_dtype)
    return [muon, _adamw(groups, GROUP_RATIOS, {})]


def _adamw(groups: dict[str, list[nn.Parameter]], ratios: dict[str, float], decay: dict[str, float]) -> AdamW:
    """AdamW over named groups, fused into one kernel (several times faster than one launch per tensor)."""
    settings = [
        {"params": parameters, "ratio": ratios[name], "weight_decay": decay.get(name, 0.0)}
        for name, parameters in groups.items()
    ]
    return AdamW(settings, lr=0.0, betas=(0.9, 0.95), eps=1e-8, fused=True)


def set_learning_rate(optimizers: list[Optimizer], learning_rate: float) -> None:
    """Give every group its share of the run's current rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * group["ratio"]
