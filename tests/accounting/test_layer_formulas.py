"""Formulas of the rows of an account equal the account, wherever they are said to hold."""

from typing import Any

import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from limner.accounting.account import account
from limner.accounting.formula import Formulas, put_in
from limner.accounting.interpolate import Free
from limner.accounting.layer_formulas import symbolic_trace
from limner.accounting.rows import Row
from limner.errors import AccountError
from limner.networks import NETWORKS

k, NF, NC, NIn, H, W, B = sympy.symbols("k NF NC NIn H W B", integer=True, positive=True)
DEFAULTS = {"k": 3, "NF": 32, "NC": 24, "NIn": 1, "H": 32, "W": 32, "B": 1}
SEVEN = [Free(name, value) for name, value in DEFAULTS.items()]


def formulas_of(name: str) -> Formulas[Row]:
    return symbolic_trace(NETWORKS[name], SEVEN, input=("NIn", "H", "W"), batch="B", learn="all")


@pytest.fixture(scope="module")
def cnn() -> Formulas[Row]:
    return formulas_of("cnn")


@pytest.fixture(scope="module")
def unet() -> Formulas[Row]:
    return formulas_of("unet")


def row(formulas: Formulas[Row], layer: str) -> Row:
    return next(row for row in formulas.rows if row.layer == layer)


def total(formulas: Formulas[Row], field: str) -> Any:
    values = [getattr(row, field) for row in put_in(formulas.rows, DEFAULTS)]
    return sum(value for value in values if value is not None)


def test_the_first_convolution_of_the_cnn_by_hand(cnn: Formulas[Row]) -> None:
    first = row(cnn, "b1.conv")
    assert first.parameters == k**2 * NF * NIn + NF
    assert first.output == (B, NF, H, W)
    assert first.connections == B * H * W * NIn * NF * k**2
    links = B * NIn * NF * (k * H - (k**2 - 1) / 4) * (k * W - (k**2 - 1) / 4)
    assert sympy.expand(first.links - links) == 0
    assert first.weight_gradient == first.connections
    assert first.input_gradient == 0  # the picture needs no gradient
    assert first.saved == 4 * B * H * W * NIn
    assert row(cnn, "b2.norm").buffers == 2 * (2 * NF) + 1


def test_totals_at_the_defaults(cnn: Formulas[Row], unet: Formulas[Row]) -> None:
    fields = ("parameters", "connections", "links")
    assert [total(cnn, field) for field in fields] == [86_784, 15_630_336, 14_304_640]
    assert [total(unet, field) for field in fields] == [112_344, 18_800_640, 17_133_024]


def test_conditions_are_found_in_the_network(unet: Formulas[Row]) -> None:
    """Of its own checks: odd k, sides that 4 divides; of the links: a kernel within the picture."""
    assert {(symbol.name, symbol.step) for symbol in unet.free if symbol.step > 1} == {
        ("k", 2),
        ("H", 4),
        ("W", 4),
    }
    assert sympy.Le(k / 2 - sympy.S.Half, H / 4) in unet.conditions
    assert "the network takes no k = 4" in unet.notes
    assert not any("interpolated" in note for note in unet.notes)


@given(
    st.tuples(
        st.integers(0, 4).map(lambda q: 2 * q + 1),
        st.integers(1, 40),
        st.integers(1, 40),
        st.integers(1, 5),
        st.integers(4, 60).map(lambda h: 4 * h),
        st.integers(4, 60).map(lambda w: 4 * w),
        st.integers(1, 9),
    )
)
@settings(max_examples=4, deadline=None)
def test_the_formula_at_a_point_is_the_count_there(
    unet: Formulas[Row], values: tuple[int, ...]
) -> None:
    point = dict(zip(DEFAULTS, values, strict=True))
    arguments = {name: point[name] for name in ("k", "NF", "NC", "NIn")}
    counted = account(
        NETWORKS["unet"],
        arguments=arguments,
        input=(point["NIn"], point["H"], point["W"]),
        batch=point["B"],
        learn="all",
    )
    assert put_in(unet.rows, point) == counted.rows


def test_a_wrong_formula_is_not_the_count(unet: Formulas[Row]) -> None:
    counted = account(NETWORKS["unet"], input=(1, 32, 32), learn="all")
    assert put_in(unet.rows, DEFAULTS) == counted.rows
    assert put_in(unet.rows, DEFAULTS | {"NIn": 2}) != counted.rows


class Picky(nn.Module):
    """A user's network that takes no symbols, halves its input and groups its channels."""

    def __init__(self, width: int = 8, k: int = 3) -> None:
        super().__init__()
        if not isinstance(width, int):
            raise TypeError("width must be an int")
        self.conv = nn.Conv2d(3, width, k, padding=k // 2)
        self.grouped = nn.Conv2d(width, width, 1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.grouped(nn.functional.max_pool2d(self.conv(x), 2))
        return y


def test_a_constructor_that_refuses_symbols_is_interpolated() -> None:
    width = Free("width", 8)
    found = symbolic_trace(Picky, [width, Free("H", 32)], input=(3, "H", 32))
    assert row(found, "grouped").parameters == width.symbol**2 / 2 + width.symbol
    assert row(found, "grouped").connections == (H / 2) * 16 * width.symbol**2 / 2
    assert "width must be an int" in found.notes[0]
    assert "the network takes no width = 9" in found.notes
    assert any("do not hold at H = 33" in note for note in found.notes)


class Attention(nn.Module):
    """Four heads over a sequence."""

    def __init__(self, dim: int = 16) -> None:
        super().__init__()
        self.project = nn.Linear(dim, 3 * dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, dim = x.shape
        split = self.project(x).reshape(batch, length, 3, 4, dim // 4).permute(2, 0, 3, 1, 4)
        return nn.functional.scaled_dot_product_attention(*split)


def test_attention_grows_with_the_square_of_the_length() -> None:
    dim, L = Free("dim", 16), Free("L", 49)
    found = symbolic_trace(Attention, [dim, L], input=("L", "dim"))
    assert row(found, "").connections == 2 * L.symbol**2 * dim.symbol
    assert row(found, "project").connections == 3 * L.symbol * dim.symbol**2
    assert [symbol.step for symbol in found.free] == [4, 1]


class Halving(nn.Module):
    """A user's network for any sides: floors stay."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        return y


def test_floors_are_exact_for_a_live_module() -> None:
    module = Halving()
    found = symbolic_trace(module, [Free("H", 32)], input=(3, "H", 32), batch=2)
    assert row(found, "conv").output == (2, 4, sympy.ceiling(H / 2), 16)
    for side in (7, 100, 101):
        assert put_in(found.rows, {"H": side}) == account(module, input=(3, side, 32), batch=2).rows
    assert module.training and module.conv.weight.device == torch.device("cpu")  # it is as it was


def test_what_is_asked_for_wrongly_is_said() -> None:
    side = Free("H", 32)
    with pytest.raises(AccountError, match="input size W has no value"):
        symbolic_trace(Picky, [side], input=(3, "H", "W"))
    with pytest.raises(AccountError, match="no argument 'z'"):
        symbolic_trace(Picky, [side, Free("z", 3)], input=(3, "H", 32))
    with pytest.raises(AccountError, match="k cannot be free: the network is built already"):
        symbolic_trace(Picky(), [Free("k", 3)], input=(3, 32, 32))
    with pytest.raises(AccountError, match=r"conv.* wanted 3 channels"):
        symbolic_trace(Picky, [side], input=(1, "H", 32))
