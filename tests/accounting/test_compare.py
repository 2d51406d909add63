"""Comparisons, and formulas that must give the proved numbers."""

from dataclasses import replace

import pytest

from limner.accounting import compare, tables
from limner.accounting.account import account
from limner.accounting.interpolate import Free
from limner.accounting.layer_formulas import symbolic_trace
from limner.errors import AccountError
from limner.networks.cnn import CNN
from limner.networks.unet import UNet


def test_ratios_are_of_the_second_to_the_first() -> None:
    sums = tuple(tables.totals_of(account(net, input=(1, 32, 32))) for net in (CNN, UNet))
    table = compare.compare(("cnn", "unet"), sums, sums, "two", ("a note",))  # type: ignore[arg-type]
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["parameters"] == (86_784, 112_344, 112_344 / 86_784)
    assert rows["frozen parameters"] == (0, 0, None)
    assert table.notes == ("a note",)
    document = compare.document(("cnn", "unet"), sums, sums)  # type: ignore[arg-type]
    assert document["models"][1]["totals"]["connections"] == 18_800_640
    assert document["ratios"]["connections"] == 18_800_640 / 15_630_336
    assert document["ratios"]["frozen"] is None


def test_formulas_that_disagree_are_refused() -> None:
    formulas = symbolic_trace(CNN, [Free("NF", 4)], input=(1, 8, 8), arguments={"NC": 3})
    numbers = account(CNN, input=(1, 8, 8), arguments={"NF": 4, "NC": 3})
    compare.check(formulas, numbers, {"NF": 4})
    with pytest.raises(AccountError, match=r"b1\.conv.*parameters gives 50, the network has 40"):
        compare.check(formulas, numbers, {"NF": 5})
    less = replace(numbers, rows=numbers.rows[:-1])
    with pytest.raises(ValueError, match="zip"):
        compare.check(formulas, less, {"NF": 4})
