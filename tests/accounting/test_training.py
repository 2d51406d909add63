"""What training keeps and what lives at once, against sums by hand."""

import pytest
import torch
from torch import Tensor, nn

from limner.accounting.training import LiveBytes, optimizer_state, run_step, settled_norms
from limner.errors import AccountError


def test_the_optimizer_keeps_copies_of_what_learns() -> None:
    layers = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
    layers[0].requires_grad_(False)
    assert [optimizer_state(layers, name) for name in ("sgd", "momentum", "adam")] == [0, 100, 200]
    assert optimizer_state(layers.half(), "adam") == 100
    with pytest.raises(AccountError, match="optimizer 'lion' is not known; choose one of sgd, "):
        optimizer_state(layers, "lion")


def test_adams_state_is_what_torch_allocates() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 5))
    optimizer = torch.optim.Adam(layers.parameters())
    for parameter in layers.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    moments = [t for state in optimizer.state.values() for t in state.values() if t.dim()]
    assert optimizer_state(layers, "adam") == sum(t.numel() * 4 for t in moments)


def norms() -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3)).to("meta")


def test_a_norm_of_one_value_a_channel_is_put_in_eval() -> None:
    net, x = norms(), torch.empty(1, 3, 4, 4, device="meta")
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        net(x)
    with settled_norms(net) as settled:
        net(x)
    assert settled == ["2"]
    assert [part.training for part in net] == [True, True, False]


def test_a_batch_of_two_needs_no_settling() -> None:
    net = norms()
    with settled_norms(net) as settled:
        net(torch.empty(2, 3, 4, 4, device="meta"))
    assert settled == []
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        net(torch.empty(1, 3, 4, 4, device="meta"))  # no hook is left behind


def test_live_bytes_peak_where_most_live() -> None:
    def function(x: Tensor) -> Tensor:
        a = x + 1  # 400
        b = torch.cat([a, a])  # 400 + 800
        del a
        c = b.view(2, 100)[0].mul_(2)  # 800: views and in-place work make nothing
        del b
        return c * 2  # 800 + 400

    x = torch.empty(100, device="meta")
    with LiveBytes() as live:
        y = function(x)
    assert live.peak == 1200
    assert live.now == 400
    del y
    assert live.now == 0


def test_a_training_step_holds_what_is_saved_and_the_gradients() -> None:
    layers = nn.Sequential(nn.Linear(10, 20, bias=False), nn.Sigmoid()).to("meta")
    x = torch.empty(5, 10, device="meta")
    with LiveBytes() as live:
        run_step(layers, [x])
    # sigmoid's output, its gradient from outside, the gradient through it, the weight's gradient
    assert live.peak in range(3 * 400 + 800, 4 * 400 + 800 + 1)
    assert all(parameter.grad is None for parameter in layers.parameters())


def test_nothing_that_learns_is_no_error() -> None:
    layers = nn.Linear(3, 3, device="meta").requires_grad_(False)
    run_step(layers, [torch.empty(1, 3, device="meta")])


def test_a_backward_pass_that_cannot_run_is_one_line() -> None:
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            return x.clone()

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = Broken.apply(x)
            return y

    with pytest.raises(AccountError, match=r"^the backward pass cannot run on meta: ") as caught:
        run_step(Net(), [torch.empty(3, device="meta", requires_grad=True)])
    assert "\n" not in str(caught.value)
