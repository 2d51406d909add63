"""A trace sees every operator, charges it to the layer that called it, and says what fails."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from limner.accounting.trace import INPUT, trace
from limner.errors import AccountError


def picture(*shape: int) -> Tensor:
    return torch.empty(shape or (1, 3, 8, 8), device="meta")


class Block(nn.Module):
    """A convolution that is called twice, functional calls, a branch that leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False, device="meta")
        self.unused = nn.Conv2d(3, 5, 1, device="meta")
        self.borrowed = nn.Linear(3, 3, device="meta")

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv(x) + x)
        self.unused(y)
        return F.conv2d(self.conv(y), self.borrowed.weight[:, :, None, None])


class Net(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return y


def test_operators_are_charged_to_the_layer_that_called_them() -> None:
    run = trace(Net(Block()), [picture()])
    assert [(o.layer, o.operator) for o in run.operations] == [
        ("block.conv", "convolution"),
        ("block", "add"),
        ("block", "relu"),
        ("block.unused", "convolution"),
        ("block.conv", "convolution"),
        ("block", "convolution"),
    ]
    assert run.calls["block.conv"] == 2
    assert [o.cost.connections for o in run.operations][4:] == [64 * 9 * 9, 64 * 3 * 3]


def test_layers_come_in_the_order_of_their_first_run() -> None:
    run = trace(Net(Block()), [picture()])
    assert run.layers == {
        "block.conv": (1, 3, 8, 8),
        "block": (1, 3, 8, 8),
        "block.unused": (1, 5, 8, 8),
        "block.borrowed": (),  # only its weights are read
    }


def test_operations_know_what_made_their_inputs() -> None:
    sources = [o.sources for o in trace(Net(Block()), [picture()]).operations]
    assert sources == [(INPUT,), (0, INPUT), (1,), (2,), (2,), (4,)]


def test_views_and_in_place_operators_keep_the_chain() -> None:
    def function(x: Tensor) -> Tensor:
        return (x * 2).flatten(1).relu_().view(1, -1, 2).sum()

    run = trace(Calls(function), [picture()])
    assert [(o.operator, o.sources) for o in run.operations] == [
        ("mul", (INPUT,)),
        ("relu", (0,)),
        ("sum", (1,)),
    ]


class Calls(nn.Module):
    """A network that is one function."""

    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.function = function
        self.scale = nn.Parameter(torch.empty(3, device="meta"))

    def forward(self, x: Tensor) -> object:
        return self.function(x)


def test_no_gradient_goes_where_no_output_depends_on() -> None:
    costs = {o.layer: o.cost for o in trace(Net(Block()), [picture()]).operations}
    assert costs["block.unused"].connections > 0
    assert costs["block.unused"].weight_gradient == costs["block.unused"].input_gradient == 0


def test_gradients_follow_the_mask() -> None:
    layers = nn.Sequential(*(nn.Linear(4, 4, bias=False, device="meta") for _ in range(4)))
    layers[0].requires_grad_(False)
    layers[2].requires_grad_(False)
    run = trace(layers, [picture(1, 4)])
    assert [(o.cost.input_gradient, o.cost.weight_gradient) for o in run.operations] == [
        (0, 0),  # frozen, and nothing below it learns
        (0, 16),  # nothing below it learns
        (16, 0),  # frozen, but the gradient passes through
        (16, 16),
    ]
    with torch.no_grad():
        run = trace(layers, [picture(1, 4)])
    assert all(o.cost.input_gradient + o.cost.weight_gradient == 0 for o in run.operations)
    assert run.saved == {} and run.made == ()


def test_saved_bytes_stand_at_their_layer_once() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 1, device="meta"),
        nn.ReLU(),
        nn.Conv2d(4, 2, 1, device="meta"),
        nn.Sigmoid(),
    )
    run = trace(net, [picture()])
    # the input; relu's output, which the second convolution saves too; sigmoid's output
    assert run.saved == {"0": 3 * 64 * 4, "1": 4 * 64 * 4, "3": 2 * 64 * 4}


def test_an_unknown_operator_is_named_with_its_layer() -> None:
    net = nn.Sequential(nn.Identity(), Calls(torch.fft.fft))
    with pytest.raises(AccountError, match=r"^1 \(Calls\) runs _fft_r2c, which no rule counts; "):
        trace(net, [picture()])
    assert trace(net, [picture()], allow_unknown=True).unknown == (("1", "_fft_r2c"),)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * int(x.max()),
        lambda x: x[x > 0],
        lambda x: x[torch.nonzero(x)],
    ],
)
@pytest.mark.parametrize("allow", [False, True])
def test_what_depends_on_values_is_refused(
    function: Callable[[Tensor], object], allow: bool
) -> None:
    net = nn.Sequential(nn.Identity(), Calls(function))
    with pytest.raises(AccountError, match=r"^1 \(Calls\) depends on values "):
        trace(net, [picture()], allow_unknown=allow)


def test_a_tensor_made_without_a_device_is_made_where_the_input_is() -> None:
    run = trace(Calls(lambda x: x + torch.ones(8)), [picture()])
    assert [o.operator for o in run.operations] == ["ones", "add"]


def test_a_tensor_made_on_a_real_device_is_refused() -> None:
    net = nn.Sequential(Calls(lambda x: x + torch.ones(8, device="cpu")))
    with pytest.raises(AccountError, match=r"^0 \(Calls\) makes a tensor on cpu \(ones\); make it"):
        trace(net, [picture()])
    trace(Calls(lambda x: x * torch.tensor(2.0, device="cpu")), [picture()])  # a number may


SHAPES = [
    (nn.Conv2d(3, 4, 3), (1, 1, 8, 8), r"wanted 3 channels, got an input of \[1, 1, 8, 8\]"),
    (
        nn.Linear(3, 4),
        (1, 1, 8, 8),
        r"wanted 3 in the last dimension, got an input of \[1, 1, 8, 8\]",
    ),
    (nn.BatchNorm2d(3), (2, 4, 8, 8), r"wanted 3 channels, got an input of \[2, 4, 8, 8\]"),
    (nn.LayerNorm(3), (1, 8), r"wanted \(3,\) in the last dimension, got an input of \[1, 8\]"),
    (nn.MaxPool2d(9), (1, 3, 4, 4), r"cannot run on an input of \[1, 3, 4, 4\]: .*too small"),
]


@pytest.mark.parametrize(("layer", "shape", "message"), SHAPES)
def test_a_wrong_shape_names_the_layer_and_what_it_wanted(
    layer: nn.Module, shape: tuple[int, ...], message: str
) -> None:
    net = nn.Sequential(nn.Identity(), layer.to("meta"))
    with pytest.raises(AccountError, match=rf"^1 \({type(layer).__name__}\) {message}") as caught:
        trace(net, [picture(*shape)])
    assert "\n" not in str(caught.value)


def test_no_hook_is_left_behind() -> None:
    def broken(x: Tensor) -> Tensor:
        raise KeyError("gone")

    registered = (hooks._global_forward_hooks, hooks._global_forward_pre_hooks)
    with pytest.raises(AccountError, match="'gone'"):
        trace(Calls(broken), [picture()])
    trace(Net(Block()), [picture()])
    assert [len(register) for register in registered] == [0, 0]


def test_an_exception_that_the_network_catches_moves_no_later_layer() -> None:
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(1, 1, 1, device="meta")
            self.second = nn.Conv2d(3, 1, 1, device="meta")

        def forward(self, x: Tensor) -> Tensor:
            try:
                y: Tensor = self.first(x)
            except RuntimeError:
                y = self.second(x)
            return y + 1

    run = trace(nn.Sequential(Careful(), Calls(torch.relu)), [picture()])
    assert [o.layer for o in run.operations] == ["0.second", "0.first", "1"]
