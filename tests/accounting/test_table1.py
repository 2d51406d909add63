"""The write-up's Table 1 as people and as programs read it."""

import pytest

from limner.accounting import table1
from limner.accounting.account import account
from limner.accounting.as_written import Table, as_written
from limner.accounting.formats import write
from limner.accounting.formula import put_in
from limner.accounting.interpolate import Free
from limner.accounting.layer_formulas import symbolic_trace
from limner.networks.cnn import CNN

POINT = {"k": 3, "NF": 32, "NC": 24, "H": 32, "W": 32}


@pytest.fixture(scope="module")
def formulas() -> Table:
    free = [Free(name, value) for name, value in POINT.items()]
    rows = symbolic_trace(CNN, free, input=(1, "H", "W")).rows
    sizes = ({"H": side, "W": side} for side in (32, 64))
    return as_written(*(put_in(rows, size) for size in sizes))


def test_numbers_and_what_doubles() -> None:
    rows, doubled = (account(CNN, input=(1, side, side)).rows for side in (32, 64))
    table = as_written(rows, doubled)
    lines = table1.tabulate(table, "cnn", {})
    assert len(lines.rows) == 11  # as many as the write-up's table has
    assert lines.rows[0][:6] == ("b1.conv", ("conv",), (288,), (32, 32, 32), 294_912, 282_752)
    growth = lines.rows[0][6]
    assert isinstance(growth, tuple)
    assert growth[0] == 4 and isinstance(growth[1], float) and 4 < growth[1] < 4.1
    assert lines.rows[1][6] is None
    text = write(table1.tabulate_totals(table, ["a note"], {}), "text")
    assert "86,544" in text and "15,630,336" in text and "14,304,640" in text and "4.183" in text
    assert "note: a note" in text and "weight and height" in text


def test_without_a_doubled_picture_there_is_no_such_column() -> None:
    table = as_written(account(CNN, input=(1, 32, 32)).rows)
    assert len(table1.tabulate(table, "cnn", {}).columns) == 6
    assert "doubled" not in write(table1.tabulate_totals(table, [], {}), "csv")


def test_formulas_are_the_write_ups(formulas: Table) -> None:
    text = write(table1.tabulate(formulas, "cnn", POINT), "text")
    first = text.splitlines()[5].split("  ")
    assert [cell.strip() for cell in first if cell.strip()] == [
        "b1.conv", "conv", "NF*k**2", "32x32xNF", "1024*NF*k**2",
        "NF*(k**2 - 128*k - 1)**2/16", "4, 4.086",
    ]  # fmt: skip
    totals = write(table1.tabulate_totals(formulas, [], POINT), "csv")
    assert "NC**2*k**2 + NC*NF*k**2 + 2*NC + 8*NF**2*k**2 + NF*k**2 + 12*NF" in totals
    assert "1024*NC**2*k**2 + 256*NC*NF*k**2 + 896*NF**2*k**2 + 1024*NF*k**2" in totals


def test_json(formulas: Table) -> None:
    document = table1.document("cnn", [(1, 1, 32, 32)], formulas, ["a note"])
    assert document["totals"]["biases"] == "2*NC + 6*NF"
    assert document["totals"]["connections_growth"] == 4
    block = document["rows"][1]
    assert block["kind"] == "maxpool, norm, relu" and block["weights"] == [0, "2*NF", 0]
    assert block["parameters"] == "2*NF" and block["connections"] is None
    assert document["notes"][0] == "a note" and len(document["notes"]) > 4
