"""The write-up's Table 1, line by line, its totals, and what it leaves out."""

import pytest
import sympy
from torch import nn

from limner.accounting.account import account
from limner.accounting.as_written import Table, as_written
from limner.accounting.formula import put_in
from limner.accounting.interpolate import Free
from limner.accounting.layer_formulas import symbolic_trace
from limner.accounting.rows import Row
from limner.errors import AccountError
from limner.networks import NETWORKS

k, NF, NC, H, W = sympy.symbols("k NF NC H W", integer=True, positive=True)
FREE = [Free("k", 3, 2), Free("NF", 32), Free("NC", 24), Free("H", 32, 4), Free("W", 32, 4)]


def rows_of(name: str) -> tuple[Row, ...]:
    return symbolic_trace(NETWORKS[name], FREE, input=(1, "H", "W"), learn="all").rows


@pytest.fixture(scope="module")
def cnn() -> Table:
    rows = rows_of("cnn")
    return as_written(put_in(rows, {"H": 32, "W": 32}), put_in(rows, {"H": 64, "W": 64}))


@pytest.fixture(scope="module")
def unet() -> Table:
    return as_written(put_in(rows_of("unet"), {"H": 32, "W": 32}))


# layer, kinds, weights, output, connections
TABLE_1 = [
    ("b1.conv", "conv", [k**2 * NF], (32, 32, NF), 32**2 * NF * k**2),
    ("b1", "maxpool norm relu", [0, 2 * NF, 0], (16, 16, NF), None),
    ("b2.conv", "conv", [k**2 * NF * 2 * NF], (16, 16, 2 * NF), 16**2 * NF * 2 * NF * k**2),
    ("b2", "maxpool norm relu", [0, 4 * NF, 0], (8, 8, 2 * NF), None),
    ("b3.conv", "conv", [k**2 * 2 * NF * 2 * NF], (8, 8, 2 * NF), 8**2 * 2 * NF * 2 * NF * k**2),
    ("b3", "norm relu", [4 * NF, 0], (8, 8, 2 * NF), None),
    ("b4.conv", "conv", [k**2 * 2 * NF * NF], (8, 8, NF), 8**2 * 2 * NF * NF * k**2),
    ("b4", "upsample norm relu", [0, 2 * NF, 0], (16, 16, NF), None),
    ("b5.conv", "conv", [k**2 * NF * NC], (16, 16, NC), 16**2 * NF * NC * k**2),
    ("b5", "upsample norm relu", [0, 2 * NC, 0], (32, 32, NC), None),
    ("out", "conv", [k**2 * NC * NC], (32, 32, NC), 32**2 * NC**2 * k**2),
]


def test_table_1_line_by_line(cnn: Table) -> None:
    assert [
        (line.layer, " ".join(line.kinds), list(line.weights), line.output, line.connections)
        for line in cnn.lines
    ] == TABLE_1


def test_totals_1_1_and_1_2(cnn: Table) -> None:
    weights = (
        k**2 * NC**2 + k**2 * NC * NF + 8 * k**2 * NF**2 + k**2 * NF + 2 * NC + 12 * NF
    )  # fmt: skip
    connections = 1024 * k**2 * NC**2 + 256 * k**2 * NC * NF + 896 * k**2 * NF**2 + 1024 * k**2 * NF
    assert cnn.weights == weights
    assert cnn.connections == connections
    assert cnn.biases == 6 * NF + 2 * NC


def test_the_unet_in_the_same_convention(unet: Table) -> None:
    """B4 sees 4 NF channels, B5 2 NF, Out NC + 1."""
    weights = k**2 * (NF + 2 * NF**2 + 4 * NF**2 + 4 * NF**2 + 2 * NF * NC + (NC + 1) * NC)
    assert sympy.expand(unet.weights - weights - 12 * NF - 2 * NC) == 0
    assert unet.biases == 6 * NF + 2 * NC
    defaults = {k: 3, NF: 32, NC: 24}
    assert (unet.weights + unet.biases).subs(defaults) == 112_344
    assert unet.connections.subs(defaults) == 18_800_640
    assert unet.links.subs(defaults) == 17_133_024
    assert unet.growth is None


def test_when_the_picture_doubles(cnn: Table) -> None:
    assert cnn.growth == 4
    assert {line.growth for line in cnn.lines if line.connections is not None} == {4}
    first = cnn.lines[0].links_growth
    assert first is not None
    assert first.subs(k, 1) == 4  # without padding there is nothing to outgrow
    assert first.subs(k, 3) == sympy.Rational(64 * 3 - 2, 32 * 3 - 2) ** 2  # and not 4
    assert cnn.links_growth is not None
    assert 4 < cnn.links_growth.subs({k: 3, NF: 32, NC: 24}) < 4.2


def test_numbers_are_put_so_too() -> None:
    """From an account of numbers, in a batch: the table is of one picture."""
    table = as_written(account(NETWORKS["cnn"], input=(1, 32, 32), batch=5, learn="all").rows)
    assert (table.weights, table.biases) == (86_784 - 240, 240)
    assert (table.connections, table.links) == (15_630_336, 14_304_640)


def test_slips_are_noted(cnn: Table) -> None:
    assert cnn.notes[0] == ("biases of the convolutions are left out: 2*NC + 6*NF parameters more")
    for word in ("padding", "weight and height", "odd k", "NIn = 1"):
        assert any(word in note for note in cnn.notes), word


def test_layers_that_the_table_has_no_line_for_are_refused() -> None:
    linear = account(nn.Linear(3, 4), input=(8, 3))
    with pytest.raises(AccountError, match=r"Linear.*has no line in the write-up's table"):
        as_written(linear.rows)
