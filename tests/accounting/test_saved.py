"""Saved bytes: a second count from autograd's graph, and a first count on a real device."""

import pytest
import torch
from torch import Tensor, nn

from limner.accounting.saved import inputs_on, module_on, saved_by_graph
from limner.accounting.trace import trace
from limner.errors import AccountError


class Residual(nn.Module):
    """Two readers of one activation, a tied weight, a buffer that is saved, a number."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.register_buffer("mask", torch.ones(6))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.sigmoid(self.linear(x))
        z: Tensor = self.linear(y) * self.mask
        return (z * 0.5) + y.mean()


def test_both_counts_agree_with_the_hand() -> None:
    module = Residual().to("meta")
    run = trace(module, [torch.empty(4, 6, device="meta")])
    assert run.saved == {"linear": 96, "": 96}  # the input; sigmoid's output, which linear reads
    assert saved_by_graph(module, run) == (192, True)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_both_counts_agree_on_layers_of_all_kinds(device: str) -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, groups=8), nn.GELU(), nn.Upsample(scale_factor=2), nn.Dropout(0.2),
        nn.Flatten(), nn.LayerNorm(128), nn.Linear(128, 10), nn.Softmax(-1),
    ).to(device)  # fmt: skip
    run = trace(net, [torch.zeros(2, 3, 8, 8, device=device)])
    total, whole = saved_by_graph(net, run)
    assert whole and total == sum(run.saved.values()) > 0


def test_what_a_write_into_a_view_hides_is_said() -> None:
    net = nn.Sequential(nn.Linear(6, 6), nn.Flatten(), nn.Dropout(0.2, inplace=True)).to("meta")
    run = trace(net, [torch.empty(4, 2, 3, 6, device="meta")])
    total, whole = saved_by_graph(net, run)
    assert not whole and total < sum(run.saved.values())


def test_a_function_of_its_own_saves_what_it_saves() -> None:
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x + x

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = Twice.apply(x)
            return y

    net = nn.Sequential(nn.Linear(6, 6), Net()).to("meta")
    run = trace(net, [torch.empty(4, 6, device="meta")])
    assert run.saved == {"0": 96, "1": 96}
    assert saved_by_graph(net, run) == (192, True)


def test_real_modules_are_copies_with_real_weights() -> None:
    live = nn.Linear(3, 4)
    copy = module_on(live, {}, "cpu")
    assert copy is not live and torch.equal(copy.get_parameter("weight"), live.weight)
    built = module_on(nn.Linear, {"in_features": 3, "out_features": 4}, "cpu")
    assert built.get_parameter("weight").device.type == "cpu"


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(AccountError, match=f"^device '{device}' cannot be used here; name cpu or"):
        module_on(nn.Linear(3, 4), {}, device)


def test_inputs_are_zeros_of_their_types() -> None:
    picture, words = inputs_on([(2, 3), (2, 5)], [torch.float16, torch.int64], "cpu")
    assert picture.shape == (2, 3) and picture.dtype == torch.float16
    assert words.dtype == torch.int64 and not words.any()
