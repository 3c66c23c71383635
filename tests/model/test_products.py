"""The product with a gradient against PyTorch's own: values, gradients, layouts, compiled and not."""

import pytest
import torch

from model.architecture import products
from model.architecture.products import multiply, serves

pytestmark = pytest.mark.skipif(not products.HAS_BOTH_LIBRARIES, reason="there is one library only")


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(1, 12), (2, 5, 12), (0, 12)], ids=str)
@pytest.mark.parametrize("columns", [7, 20])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_values_and_gradients_are_those_of_pytorch(shape, columns, compiled):
    x, y, outside = random(*shape, seed=1), random(columns, 12, seed=2), random(*shape[:-1], columns, seed=3)

    def results(product) -> list[torch.Tensor]:
        inputs = [x.clone().requires_grad_(), y.clone().requires_grad_()]
        output = product(*inputs)
        (output * outside).sum().backward()
        return [output, *(tensor.grad for tensor in inputs)]

    found = results(torch.compile(multiply, backend="aot_eager") if compiled else multiply)
    for have, want in zip(found, results(torch.nn.functional.linear), strict=True):
        torch.testing.assert_close(have, want, rtol=1e-5, atol=1e-5)


def test_layouts_do_not_matter():
    """Transposed, as in the backward pass; and one number for all places, as the gradient of a sum is."""
    x, y = random(12, 5, seed=1).mT.requires_grad_(), random(12, 7, seed=2).mT.requires_grad_()
    output = multiply(x, y)
    torch.testing.assert_close(output, x @ y.mT)
    output.sum().backward()
    torch.testing.assert_close(y.grad, x.sum(0).expand(7, 12).detach())


def test_it_serves_only_what_it_computes_as_pytorch_would():
    x = random(2, 3, seed=1)
    assert serves(x, x)
    assert not serves(x, x.double()) and not serves(x.bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not serves(x, x)
