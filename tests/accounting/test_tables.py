"""Tables of accounts: nothing is lost when rows are added up, and JSON holds what there is."""

import json

import pytest
import sympy
from torch import nn

from limner.accounting import tables
from limner.accounting.account import Account, account
from limner.accounting.formats import Table, write
from limner.accounting.interpolate import Free
from limner.accounting.layer_formulas import symbolic_trace
from limner.accounting.rows import Row
from limner.networks.cnn import CNN
from limner.networks.unet import UNet


@pytest.fixture(scope="module")
def unet() -> Account:
    return account(UNet, input=(1, 32, 32))


@pytest.fixture(scope="module")
def formulas() -> tuple[Row, ...]:
    free = [Free("k", 3), Free("NF", 32), Free("NC", 24)]
    return symbolic_trace(CNN, free, input=(1, 32, 32)).rows


@pytest.mark.parametrize("depth", [1, 2, 9])
def test_grouped_rows_add_up_to_the_totals(unet: Account, depth: int) -> None:
    rows = tables.group(unet.rows, depth)
    assert len({row.layer for row in rows}) == len(rows)
    assert all(row.layer.count(".") < depth for row in rows)
    for name in tables.OF_ROWS:
        values = [getattr(row, name) for row in rows]
        assert sum(v for v in values if v is not None) == getattr(unet.totals, name), name


def test_a_group_says_how_many_layers_it_is_and_what_it_hands_on(unet: Account) -> None:
    block, *_ = tables.group(unet.rows, 1)
    assert (block.layer, block.kind, block.output) == ("b1", "4 layers", (1, 32, 16, 16))
    assert block.parameters == 9 * 32 + 32 + 2 * 32
    assert tables.group(unet.rows, 9) == list(unet.rows)


def test_a_group_without_connections_has_no_links() -> None:
    net = nn.Sequential(nn.Sequential(nn.ReLU(), nn.ReLU()), nn.Linear(4, 2))
    rows = tables.group(account(net, input=(4,)).rows, 1)
    assert [row.links for row in rows] == [None, 8]


def test_the_largest_layers_come_first(unet: Account) -> None:
    assert tables.largest(unet.rows, 2) == ["out", "b2.conv"]
    assert tables.largest(unet.rows, 999)[-1] in [row.layer for row in unet.rows]


def test_formulas_add_up_to_the_write_ups_totals(formulas: tuple[Row, ...]) -> None:
    k, NF, NC = (Free(name, 1).symbol for name in ("k", "NF", "NC"))
    sums = tables.add_formulas(formulas)
    weights = k**2 * (NC**2 + NC * NF + 8 * NF**2 + NF) + 2 * NC + 12 * NF
    connections = k**2 * (1024 * NC**2 + 256 * NC * NF + 896 * NF**2 + 1024 * NF)
    assert sympy.expand(sums["parameters"] - weights) == 6 * NF + 2 * NC  # its missing biases
    assert sympy.expand(sums["connections"] - connections) == 0
    first = 1024 * k**2 * NF
    assert sympy.expand(sums["step"] - (3 * connections - first)) == 0


def test_the_table_of_layers(unet: Account) -> None:
    sums = tables.totals_of(unet)
    table = tables.tabulate(unet.rows, sums, "unet")
    named = {column.header: i for i, column in enumerate(table.columns)}
    rows = {row[0]: row for row in table.rows}
    assert table.total is not None
    assert table.total[named["connections (MACs)"]] == 18_800_640
    assert rows["b1.conv"][named["output"]] == (32, 32, 32)  # of one picture
    norm = rows["b1.norm"]  # has no connections by definition, which is not the same as 0
    assert norm[named["connections (MACs)"]] is None
    assert norm[named["element operations"]] == 32 * 16 * 16
    assert tables.NETWORK in rows
    full = tables.tabulate(unet.rows, sums, "unet", full=True)
    assert len(full.columns) == 4 + len(tables.OF_ROWS)
    assert full.rows[0][3] == (1, 32, 32, 32)


def test_units_stand_in_the_headers(unet: Account) -> None:
    sums = tables.totals_of(unet)
    header = write(tables.tabulate(unet.rows, sums, "", full=True), "csv").splitlines()[0]
    for name in ("connections (MACs)", "real links (MACs)", "backward (MACs)", "saved (bytes)"):
        assert name in header.split(",")
    assert "FLOP" not in header
    assert tables.header("optimizer_state") == "optimizer state (bytes)"


def test_the_whole_network_says_what_its_figures_depend_on(unet: Account) -> None:
    table: Table = tables.tabulate_whole(tables.totals_of(unet), "cpu", 5, "adam", ("a note",))
    assert [row[0] for row in table.rows] == [tables.header(name) for name in tables.KINDS]
    text = write(table, "text")
    assert "batch 5, device cpu" in text and "adam" in text and "198.4 % of forward" in text
    assert text.endswith("note: a note")


def test_json_has_the_promised_shape(unet: Account) -> None:
    document = tables.document("unet", unet.input, unet.rows, tables.totals_of(unet), ["a note"])
    assert json.loads(json.dumps(document)) == document
    assert list(document) == ["model", "input", "rows", "totals", "notes"]
    assert document["input"] == [1, 1, 32, 32]
    assert document["rows"][0] == {
        "layer": "b1.conv", "kind": "Conv2d", "calls": 1, "output": [1, 32, 32, 32],
        "parameters": 320, "trainable": 320, "frozen": 0, "buffers": 0,
        "connections": 294_912, "links": 282_752, "element_ops": 0, "training_forward": 294_912,
        "input_gradient": 0, "weight_gradient": 294_912, "backward": 294_912, "saved": 4096,
    }  # fmt: skip
    assert document["totals"]["connections"] == 18_800_640
    assert tables.document("two", [(1, 2), (1, 3)], [], {}, [])["input"] == [[1, 2], [1, 3]]


def test_json_formulas_are_strings_that_sympy_reads(formulas: tuple[Row, ...]) -> None:
    sums = tables.add_formulas(formulas)
    document = tables.document("cnn", [(1, 1, 32, 32)], formulas, sums, [])
    names = {name: Free(name, 1).symbol for name in ("k", "NF", "NC")}
    values = {names["k"]: 3, names["NF"]: 32, names["NC"]: 24}
    read = sympy.sympify(document["totals"]["connections"], locals=names)
    assert read.subs(values) == 15_630_336
    assert document["rows"][0]["parameters"] == "NF*k**2 + NF"
    assert document["rows"][0]["output"] == [1, "NF", 32, 32]  # plain numbers stay numbers
    assert json.loads(json.dumps(document)) == document
