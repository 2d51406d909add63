"""Tables as text, Markdown, LaTeX and CSV: what is shown, what is left out, what is read back."""

import csv
import io

import pytest
import sympy

from limner.accounting.formats import FORMATS, WIDTH, Column, Table, write

k, NF = sympy.symbols("k NF", integer=True, positive=True)
TABLE = Table(
    title="a network",
    columns=(
        Column("layer", left=True),
        Column("output", left=True),
        Column("connections", "MACs"),
        Column("real links", "MACs", spare=1),
    ),
    rows=(
        ("b1_conv", (1024, 8, 8), 1_234_567, 0.123456),
        ("b[2]", (NF, NF / 2), 2 * NF * k**2, None),
    ),
    total=("total", "", sympy.Integer(7_654_321), ""),
    notes=("k is odd", "100 % of 2*NF"),
)


def test_text_is_for_people() -> None:
    text = write(TABLE, "text")
    lines = text.splitlines()
    assert lines[0] == "a network"
    assert lines[1].split() == ["real"]  # a word a line keeps columns narrow
    assert lines[5].split() == ["b1_conv", "1024x8x8", "1,234,567", "0.1235"]
    assert lines[6].split() == ["b[2]", "NF", "x", "NF/2", "2*NF*k**2"]
    assert "7,654,321" in text and text.endswith("note: k is odd\nnote: 100 % of 2*NF")
    assert all(line.isascii() and line == line.rstrip() for line in lines)
    assert len({len(lines[4]), len(lines[5])}) == 1


def test_text_that_is_too_wide_loses_spare_columns_first() -> None:
    wide = Table(
        title="wide",
        columns=(Column("layer", left=True), Column("a", spare=1), Column("b", spare=2),
                 Column("c")),
        rows=((50 * "l", 40 * "a", 40 * "b", 10 * "c"),),
    )  # fmt: skip
    text = write(wide, "text")
    assert "a" * 40 in text and "b" * 40 not in text
    assert "left out for width: b;" in text
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "b" * 40 in write(wide, "csv")


def test_text_that_is_still_too_wide_is_folded() -> None:
    table = Table("", (Column("what", left=True), Column("", left=True)), (("x", "long " * 60),))
    lines = write(table, "text").splitlines()
    assert max(map(len, lines)) <= WIDTH and " ".join(lines).split().count("long") == 60


def test_csv_is_for_programs() -> None:
    header, *rows = csv.reader(io.StringIO(write(TABLE, "csv")))
    assert header == ["layer", "output", "connections (MACs)", "real links (MACs)"]
    assert rows[0] == ["b1_conv", "1024x8x8", "1234567", "0.123456"]
    assert sympy.sympify(rows[1][2], locals={"k": k, "NF": NF}) == 2 * NF * k**2
    assert rows[2] == ["total", "", "7654321", ""]


def test_markdown_has_a_cell_for_every_column() -> None:
    lines = write(TABLE, "markdown").splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {5} and len(table) == 5
    assert table[1] == "| --- | --- | ---: | ---: |"
    assert "`b1_conv`" in table[2] and "`2*NF*k**2`" in table[3]  # no emphasis by * and _
    assert lines[-1] == r"- 100 % of 2\*NF"


def test_latex_escapes_names_and_sets_formulas() -> None:
    latex = write(TABLE, "latex")
    assert r"b1\_conv & $1024 \times 8 \times 8$ & $1{,}234{,}567$ & $0.1235$ \\" in latex
    assert r"$2 \mathit{NF} k^{2}$ &  \\" in latex
    assert latex.count(r" \\") == 4 and r"\begin{tabular}{llrr}" in latex
    assert latex.endswith("% k is odd\n% 100 % of 2*NF")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_table_without_title_rows_or_total(kind: str) -> None:
    assert "layer" in write(Table("", (Column("layer", left=True),), ()), kind)
