"""A table of counts or formulas as text, Markdown, LaTeX or CSV."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import sympy

from limner.accounting.formula import to_latex, to_text

FORMATS = ("text", "markdown", "latex", "csv")
WIDTH = 120  # characters that a table of text should not pass

Value: TypeAlias = int | float | str | sympy.Expr | None
Cell: TypeAlias = (
    Value | tuple[Value, ...]
)  # several values: a shape, or the weights of several layers


@dataclass(frozen=True)
class Column:
    """A column: its name, its unit (shown with the name), and how several values are joined.

    spare: where a table of text would be too wide, columns are left out, those with the highest
    number first; 0 is never left out.
    """

    name: str
    unit: str = ""
    joint: str = "x"
    left: bool = False
    spare: int = 0

    @property
    def header(self) -> str:
        """The name with the unit: "connections (MACs)"."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    @property
    def stack(self) -> str:
        """The header with a word a line, which keeps columns of numbers narrow."""
        return self.header if self.left else self.header.replace(" ", "\n")


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns, a total below them (None: there is none), and notes."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None = None
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[tuple[Cell, ...], ...]:
        """All rows, the total as the last."""
        return self.rows if self.total is None else (*self.rows, self.total)


def write(table: Table, kind: str) -> str:
    """The table in one of FORMATS, without a line break at the end.

    Text has thousands separators and at most WIDTH characters a line where that is possible; CSV
    has plain numbers, the total in its last line, and neither title nor notes.
    """
    writers: dict[str, Callable[[Table], str]] = {
        "text": write_text, "markdown": write_markdown, "latex": write_latex, "csv": write_csv,
    }  # fmt: skip
    return writers[kind](table)


def write_text(table: Table) -> str:
    """Aligned columns; what makes the table too wide is left out, and a note says so."""
    kept, left_out = narrow(table)
    lines = [table.title, draw(kept)]
    notes = list(table.notes)
    if left_out:
        notes.append(f"left out for width: {', '.join(left_out)}; --format csv and json have all")
    lines += [f"note: {note}" for note in notes]
    return "\n".join(line for line in lines if line)


def narrow(table: Table) -> tuple[Table, list[str]]:
    """The table without as many spare columns as it takes to fit WIDTH, and their names."""
    left_out: list[str] = []
    while natural_width(table) > WIDTH and any(column.spare for column in table.columns):
        place = max(range(len(table.columns)), key=lambda i: table.columns[i].spare)
        left_out += filter(None, [table.columns[place].name])
        table = replace(
            table,
            columns=without(table.columns, place),
            rows=tuple(without(row, place) for row in table.rows),
            total=None if table.total is None else without(table.total, place),
        )
    return table, left_out


def without(items: tuple[Any, ...], place: int) -> tuple[Any, ...]:
    """The items but the one at `place`."""
    return items[:place] + items[place + 1 :]


def natural_width(table: Table) -> int:
    """Characters that the table takes if no cell is broken."""
    widths = []
    for i, column in enumerate(table.columns):
        texts = [*column.stack.split("\n"), *(plain(line[i], column.joint) for line in table.lines)]
        widths.append(max(map(len, texts)))
    return sum(widths) + 2 * (len(widths) - 1)


def draw(table: Table) -> str:
    """The table by rich, in ASCII, so that it prints in any terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as Drawing
    from rich.text import Text

    drawing = Drawing(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for column in table.columns:
        drawing.add_column(
            Text(column.stack), justify="left" if column.left else "right", overflow="fold"
        )
    for line in table.lines:
        if line is table.total:
            drawing.add_section()
        drawing.add_row(
            *(
                Text(plain(cell, column.joint))
                for cell, column in zip(line, table.columns, strict=True)
            )
        )
    output = io.StringIO()
    Console(file=output, width=WIDTH, color_system=None, legacy_windows=False).print(drawing)
    return "\n".join(line.rstrip() for line in output.getvalue().replace("─", "-").splitlines())


def write_markdown(table: Table) -> str:
    """A title in bold, a table of pipes, the notes as a list."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"

    marks = ["---" if column.left else "---:" for column in table.columns]
    lines = [f"**{table.title}**", ""] if table.title else []
    lines += [line([column.header for column in table.columns]), line(marks)]
    for row in table.lines:
        cells = [plain(cell, column.joint) for cell, column in zip(row, table.columns, strict=True)]
        # a formula's stars and a name's underscores are no emphasis
        lines.append(line([f"`{cell}`" if set(cell) & set("*_") else cell for cell in cells]))
    if table.notes:
        lines += ["", *(f"- {note}".replace("*", r"\*") for note in table.notes)]
    return "\n".join(lines)


def write_latex(table: Table) -> str:
    """A tabular that needs no package; the title and the notes as comments."""

    def cell_text(cell: Cell, joint: str) -> str:
        if not isinstance(cell, tuple):
            return latex(cell)
        if joint != "x":
            return joint.join(latex(value) for value in cell)
        sizes = [to_latex(size) if is_formula(size) else str(size) for size in cell]
        between = r" \times "
        return f"${between.join(sizes)}$" if sizes else ""

    def line(cells: Sequence[str]) -> str:
        return " & ".join(cells) + r" \\"

    marks = "".join("l" if column.left else "r" for column in table.columns)
    lines = [f"% {table.title}"] if table.title else []
    lines += [rf"\begin{{tabular}}{{{marks}}}", r"\hline"]
    lines += [line([escape(column.header) for column in table.columns]), r"\hline"]
    for row in table.lines:
        if row is table.total:
            lines.append(r"\hline")
        cells = zip(row, table.columns, strict=True)
        lines.append(line([cell_text(cell, column.joint) for cell, column in cells]))
    lines += [r"\hline", r"\end{tabular}", *(f"% {note}" for note in table.notes)]
    return "\n".join(lines)


def latex(value: Value) -> str:
    """One value in LaTeX, formulas and numbers in dollars."""
    if isinstance(value, str):
        return escape(value)
    if value is None:
        return ""
    if isinstance(value, sympy.Expr) and not value.is_Integer:
        return f"${to_latex(value)}$"
    return "$" + plain(value, "").replace(",", "{,}") + "$"


def escape(text: str) -> str:
    """Text with LaTeX's own characters made plain."""
    return "".join("\\" + letter if letter in "&%$#_{}" else letter for letter in text)


def write_csv(table: Table) -> str:
    """A header with the units, and plain numbers."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow([column.header for column in table.columns])
    for line in table.lines:
        writer.writerow(
            [bare(cell, column.joint) for cell, column in zip(line, table.columns, strict=True)]
        )
    return output.getvalue().rstrip("\n")


def plain(cell: Cell, joint: str) -> str:
    """A cell for people: 15,630,336 or a formula; nothing for None."""
    if isinstance(cell, tuple):
        spell = bare if joint == "x" else plain  # a shape has no thousands separators
        parts = [spell(value, joint) for value in cell]
        # 64x32x32 and 2*NFx32x32, but NF x H/2 x W/2
        wide = joint == "x" and any(set(part) & set("+-/( ") for part in parts)
        return (f" {joint} " if wide else joint).join(parts)
    if isinstance(cell, float):
        return f"{cell:,.4g}"
    if isinstance(cell, int) or (isinstance(cell, sympy.Expr) and cell.is_Integer):
        return f"{int(cell):,}"
    return "" if cell is None else cell if isinstance(cell, str) else to_text(cell)


def bare(cell: Cell, joint: str) -> str:
    """A cell for programs."""
    if isinstance(cell, tuple):
        return joint.join(bare(value, joint) for value in cell)
    return "" if cell is None else to_text(cell) if is_formula(cell) else str(cell)


def is_formula(value: Value) -> bool:
    """Whether a value is an expression that is no plain whole number."""
    return isinstance(value, sympy.Expr) and not value.is_Integer
