"""Bars of the cost: every layer that costs, lengths that are the counts, the same bytes."""

from pathlib import Path

import pytest
from torch import nn

from limner.accounting.account import Account, account
from limner.accounting.figure import bars, check_free, kind_of, save
from limner.drawing import render
from limner.errors import AccountError
from limner.networks.unet import UNet


@pytest.fixture(scope="module")
def unet() -> Account:
    return account(UNet, input=(1, 32, 32))


def test_the_bars_are_the_counts(unet: Account) -> None:
    figure = bars(unet.rows, "unet")
    connections, parameters = figure.axes
    costly = [row for row in unet.rows if row.connections or row.parameters]
    for axes, counts in (
        (connections, [row.connections for row in costly]),
        (parameters, [row.parameters for row in costly]),
    ):
        assert [bar.get_bbox().width for bar in axes.patches] == counts  # type: ignore[attr-defined]
    assert [label.get_text() for label in connections.get_yticklabels()] == [
        row.layer for row in costly
    ]
    assert "MACs" in connections.get_xlabel()


@pytest.mark.parametrize("name", ["a.png", "b.SVG"])
def test_the_same_account_makes_the_same_bytes(unet: Account, tmp_path: Path, name: str) -> None:
    save(bars(unet.rows, "unet"), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    assert content == render(bars(unet.rows, "unet"), kind_of(Path(name)))
    assert content.startswith(b"\x89PNG" if name == "a.png" else b"<?xml")


def test_nothing_to_draw() -> None:
    with pytest.raises(AccountError, match="nothing to draw"):
        bars(account(nn.ReLU(), input=(3,)).rows, "relu")


def test_names_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AccountError, match="pdf"):
        kind_of(Path("a.pdf"))
    with pytest.raises(AccountError, match=r"\.svg"):
        kind_of(Path("a.png"), (".svg",))
    taken = tmp_path / "a.png"
    taken.write_text("mine")
    check_free(taken, overwrite=True)
    with pytest.raises(AccountError, match="--overwrite"):
        check_free(taken, overwrite=False)
