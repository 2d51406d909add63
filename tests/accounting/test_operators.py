"""Every rule against a count by another way: all-ones data, Jacobians, the definition itself."""

from collections.abc import Callable, Sequence
from itertools import product as combinations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight

from limner.accounting.operation import Cost
from limner.accounting.operators import FREE, RULES, links_along, plain_name
from limner.accounting.trace import trace


class Calls(nn.Module):
    """A network that is one function of its inputs."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> object:
        return self.function(*inputs)


def cost_of(
    function: Callable[..., object], *shapes: Sequence[int], gradients: bool = False
) -> Cost:
    """The summed cost of a function of tensors of these shapes, on the meta device."""
    inputs = [torch.empty(*shape, device="meta", requires_grad=gradients) for shape in shapes]
    costs = [operation.cost for operation in trace(Calls(function), inputs).operations]
    links = [cost.links for cost in costs if cost.links is not None]
    return Cost(
        connections=sum(cost.connections for cost in costs),
        links=sum(links) if links else None,
        element_ops=sum(cost.element_ops for cost in costs),
        input_gradient=sum(cost.input_gradient for cost in costs),
        weight_gradient=sum(cost.weight_gradient for cost in costs),
    )


def reads(function: Callable[[Tensor], Tensor], *shape: int) -> int:
    """How many pairs of output and input elements hang together: the Jacobian's non-zeros."""
    torch.manual_seed(0)
    jacobian = torch.autograd.functional.jacobian(function, torch.rand(shape, dtype=torch.float64))
    return int((jacobian != 0).sum())


CONVOLUTIONS = [
    # in, out, groups, stride, padding, dilation
    (1, 2, 1, 1, 1, 1),
    (4, 6, 2, 2, 1, 1),
    (4, 4, 4, 1, 2, 2),
    (2, 4, 2, 3, 0, 1),
    (2, 2, 1, 2, 3, 2),
    (1, 1, 1, 1, 8, 10),  # taps that only ever meet padding
]


@pytest.mark.parametrize("sizes", CONVOLUTIONS)
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_a_convolution_of_ones_adds_up_to_its_links(
    sizes: tuple[int, ...], dimensions: int
) -> None:
    channels, out, groups, stride, padding, dilation = sizes
    layers = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    layer = layers[dimensions - 1](channels, out, 3, stride, padding, dilation, groups, bias=False)
    nn.init.ones_(layer.weight)
    shape = (2, channels, 7, 5, 6)[: 2 + dimensions]
    ones = torch.ones(shape)
    padded = F.pad(ones, [padding, padding] * dimensions, value=1.0)
    whole = F.__dict__[f"conv{dimensions}d"](
        padded, layer.weight, None, stride, 0, dilation, groups
    )
    cost = cost_of(layer.to("meta"), shape)
    assert cost.connections == whole.sum().item()
    layer = layer.to_empty(device="cpu")
    nn.init.ones_(layer.weight)
    assert cost.links == layer(ones).sum().item()
    assert cost.element_ops == 0


@pytest.mark.parametrize(("stride", "padding", "groups"), [(2, 0, 1), (2, 1, 2), (1, 2, 1)])
def test_a_transposed_convolution_of_ones_adds_up_to_its_links(
    stride: int, padding: int, groups: int
) -> None:
    weight, ones = torch.ones(4, 3, 3, 3), torch.ones(2, 4, 5, 6)

    def transposed(x: Tensor, w: Tensor, padding: int) -> Tensor:
        return F.conv_transpose2d(x, w, stride=stride, padding=padding, groups=groups)

    cost = cost_of(lambda x, w: transposed(x, w, padding), ones.shape, weight.shape)
    assert cost.connections == transposed(ones, weight, 0).sum().item()
    assert cost.links == transposed(ones, weight, padding).sum().item()


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_gradients_of_a_grouped_convolution_cost_what_it_costs(groups: int) -> None:
    """Without padding every entry of a gradient of ones is the number of products in it."""
    x, weight, ones = (
        torch.ones(2, 4, 6, 6),
        torch.ones(8, 4 // groups, 3, 3),
        torch.ones(2, 8, 4, 4),
    )
    of_weight = conv2d_weight(x, list(weight.shape), ones, groups=groups)
    of_input = conv2d_input(list(x.shape), weight, ones, groups=groups)

    def run(x: Tensor, w: Tensor) -> Tensor:
        return F.conv2d(x, w, groups=groups)

    cost = cost_of(run, x.shape, weight.shape, gradients=True)
    assert cost.weight_gradient == of_weight.sum().item() == cost.connections
    assert cost.input_gradient == of_input.sum().item() == cost.connections


class Symbol(int):
    """A plain number that is not of type int, as a symbolic size is none."""


@settings(deadline=None)
@given(
    side=st.integers(4, 40),
    q=st.integers(0, 3),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 4),
    data=st.data(),
)
def test_the_closed_form_of_links_is_the_exact_sum(
    side: int, q: int, stride: int, dilation: int, data: st.DataObject
) -> None:
    if stride > 1 and dilation > 1:
        dilation = 1  # no closed form there
    k = 2 * q + 1
    padding = data.draw(st.integers(0, min((k - 1) * dilation, side // 2)))
    if side + 2 * padding < dilation * (k - 1) + 1:
        side = dilation * (k - 1) + 1
    places = (side + 2 * padding - dilation * (k - 1) - 1) // stride + 1
    if padding > stride * places or padding > side:
        return
    exact = sum(
        0 <= o * stride - padding + t * dilation < side
        for o, t in combinations(range(places), range(k))
    )
    assert links_along(side, places, k, stride, padding, dilation) == exact
    assert links_along(Symbol(side), places, k, stride, padding, dilation) == exact


def test_links_at_the_write_ups_padding() -> None:
    for H, k in combinations((4, 32), (1, 3, 5, 7)):
        assert links_along(H, H, k, 1, k // 2, 1) == k * H - (k * k - 1) // 4


PRODUCTS: list[tuple[Callable[..., object], list[tuple[int, ...]], int]] = [
    (torch.mm, [(3, 4), (4, 5)], 60),
    (torch.bmm, [(2, 3, 4), (2, 4, 5)], 120),
    (torch.matmul, [(7, 2, 3, 4), (4, 5)], 840),
    (torch.matmul, [(3, 4), (4,)], 12),
    (torch.dot, [(6,), (6,)], 6),
    (torch.addmm, [(3, 5), (3, 4), (4, 5)], 60),
    (torch.baddbmm, [(2, 3, 5), (2, 3, 4), (2, 4, 5)], 120),
    (F.linear, [(6, 3, 4), (5, 4), (5,)], 360),
    (lambda q, k: torch.einsum("bhid,bhjd->bhij", q, k), [(2, 3, 4, 5), (2, 3, 6, 5)], 720),
    (F.scaled_dot_product_attention, [(2, 3, 7, 4), (2, 3, 5, 4), (2, 3, 5, 6)], 6 * 35 * 10),
]


@pytest.mark.parametrize(("function", "shapes", "connections"), PRODUCTS)
def test_products_count_result_times_inner_side(
    function: Callable[..., object], shapes: list[tuple[int, ...]], connections: int
) -> None:
    cost = cost_of(function, *shapes, gradients=True)
    assert cost.connections == cost.links == connections
    assert cost.input_gradient == 2 * connections  # no operand is a parameter of a module


def test_fused_attention_counts_like_plain_attention() -> None:
    """The CPU has a fused kernel, the meta device none; its backward computes the scores anew."""
    shapes = [(2, 3, 7, 4), (2, 3, 5, 4), (2, 3, 5, 4)]
    plain = cost_of(F.scaled_dot_product_attention, *shapes, gradients=True)
    inputs = [torch.zeros(shape, requires_grad=True) for shape in shapes]
    run = trace(Calls(F.scaled_dot_product_attention), inputs)
    (fused,) = [o for o in run.operations if o.cost.connections]
    assert fused.operator == "_scaled_dot_product_flash_attention_for_cpu"
    assert fused.cost.connections == plain.connections
    assert fused.cost.input_gradient == plain.input_gradient + 6 * 35 * 4


def test_a_recurrent_layer_counts_its_products() -> None:
    lstm = nn.LSTM(3, 4, bidirectional=True, device="meta")
    cost = cost_of(lstm, (5, 2, 3))
    assert cost.connections == 5 * 2 * 2 * (3 * 16 + 4 * 16)  # steps, batch, directions


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: F.avg_pool2d(x, 3, 2), (1, 2, 7, 9)),
        (lambda x: F.avg_pool1d(x, 2), (1, 2, 8)),
        (lambda x: F.avg_pool3d(x, (2, 3, 1)), (1, 1, 4, 6, 3)),
        (lambda x: F.adaptive_avg_pool2d(x, (3, 5)), (1, 2, 7, 9)),
        (lambda x: F.adaptive_avg_pool2d(x, 1), (1, 2, 7, 9)),
        (lambda x: F.interpolate(x, scale_factor=2, mode="nearest"), (1, 2, 3, 4)),
        (lambda x: x.mean((1, 2)), (2, 3, 4)),
        (torch.sigmoid, (2, 3)),
    ],
)
def test_element_operations_are_the_elements_read(
    function: Callable[[Tensor], Tensor], shape: tuple[int, ...]
) -> None:
    assert cost_of(function, shape).element_ops == reads(function, *shape)


ELEMENTS: list[tuple[Callable[[Tensor], object], tuple[int, ...], int]] = [
    (lambda x: F.max_pool2d(x, 2), (1, 3, 4, 4), 3 * 4 * 4),
    (lambda x: F.max_pool2d(x, 3, 2, 1), (1, 3, 4, 4), 3 * 4 * 9),
    (lambda x: F.interpolate(x, size=5, mode="linear"), (1, 2, 3), 10 * 2),
    (lambda x: F.interpolate(x, size=(5, 7), mode="bilinear"), (1, 2, 3, 3), 70 * 4),
    (lambda x: F.interpolate(x, size=(5, 7), mode="bicubic"), (1, 2, 3, 3), 70 * 16),
    (lambda x: F.layer_norm(x, (4,)), (2, 3, 4), 24 * 3),
    (lambda x: F.group_norm(x, 2), (2, 4, 3, 3), 72 * 3),
    (lambda x: F.batch_norm(x, None, None, training=True), (2, 4, 3, 3), 72 * 3),
    (lambda x: F.softmax(x, -1), (3, 5), 15 * 4),
    (lambda x: F.gelu(x) + x, (3, 5), 30),
    (lambda x: x.relu_().mul_(2), (3, 5), 30),
    (lambda x: torch.cat([x, x]).permute(1, 0).reshape(-1).roll(2)[3:], (3, 5), 0),
    (
        lambda x: F.grid_sample(x, torch.empty(1, 5, 5, 2), align_corners=False),
        (1, 2, 4, 4),
        50 * 4,
    ),
]


@pytest.mark.parametrize(("function", "shape", "operations"), ELEMENTS)
def test_element_operations_by_hand(
    function: Callable[[Tensor], object], shape: tuple[int, ...], operations: int
) -> None:
    cost = cost_of(function, shape)
    assert cost.element_ops == operations
    assert cost.connections == 0 and cost.links is None


def test_a_batch_norm_in_eval_is_one_multiply_add() -> None:
    norm = nn.BatchNorm2d(4, device="meta")
    training = cost_of(norm, (2, 4, 3, 3)).element_ops
    assert cost_of(norm.eval(), (2, 4, 3, 3)).element_ops == 72
    assert training == 72 * 3 + 1  # and the count of batches


def test_every_rule_names_an_operator_of_torch() -> None:
    def exists(name: str) -> bool:
        spaces = (torch.ops.aten, torch.ops.prim)
        return any(hasattr(space, name) or hasattr(space, name + "_") for space in spaces)

    assert not exists("adaptive_avg_pool9d")
    assert [name for name in RULES if not exists(name)] == []


def test_no_operator_is_both_free_and_counted() -> None:
    free = RULES["cat"]
    assert [name for name in FREE.split() if RULES[name] is not free] == []
    assert RULES["convolution"] is not free and RULES["relu"] is not free


def test_names_lose_their_space_and_their_in_place_mark() -> None:
    assert plain_name("aten::relu_") == "relu"
    assert plain_name("aten::_softmax") == "_softmax"
    assert plain_name("torchvision::nms") == "torchvision::nms"
