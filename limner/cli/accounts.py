"""What `limner account` does for each of its questions, and how it prints the answer."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from limner.accounting import compare as comparison
from limner.accounting import figure, formats, shapes, table1, tables
from limner.accounting import solve as solving
from limner.accounting.account import Account, account
from limner.accounting.as_written import as_written
from limner.accounting.conditions import describe, holds
from limner.accounting.formula import Formulas, put_in
from limner.accounting.interpolate import Free
from limner.accounting.layer_formulas import symbolic_trace
from limner.accounting.rows import Row
from limner.cli.target import Target
from limner.cli.terminal import print_json, say
from limner.errors import AccountError


@dataclass(frozen=True)
class Question:
    """What is asked of a network, whichever it is."""

    settings: dict[str, Any]
    learn: Literal["all"] | Sequence[str] | None
    optimizer: str
    device: str
    symbolic: bool
    free: tuple[str, ...]
    allow_unknown: bool
    depth: int | None
    top: int | None
    format: str

    def count(self, target: Target) -> Account:
        """The proved account of the network."""
        with redirect_stdout(sys.stderr):  # what a network prints is no result
            return account(
                target.build,
                arguments=target.arguments,
                input=target.shapes,
                batch=target.batch,
                learn=self.learn,
                optimizer=self.optimizer,
                device=self.device,
                allow_unknown=self.allow_unknown,
            )

    def symbols(self, target: Target) -> tuple[str, ...]:
        """The names that stay free. AccountError for one that the network does not have."""
        own = [name for name in target.own if name not in self.settings] if self.symbolic else []
        names = tuple(dict.fromkeys([*own, *self.free]))
        for name in names:
            target.value(name)
        if self.symbolic and not names:
            raise AccountError(
                f"{target.model}: nothing is left to be a symbol; name some with --free, of "
                f"{', '.join(target.symbols)}"
            )
        return names


@dataclass(frozen=True)
class Files:
    """The figures to write."""

    bars: Path | None
    shapes: Path | None
    overwrite: bool

    def check(self) -> None:
        """AccountError for a name that is taken or of no known kind, before anything is counted."""
        for path, kinds in ((self.bars, (".png", ".svg")), (self.shapes, (".svg",))):
            if path is not None:
                figure.kind_of(path, kinds)
                figure.check_free(path, self.overwrite)


@dataclass(frozen=True)
class Costs:
    """A network's costs as they are shown: numbers, or formulas; and the proved numbers."""

    rows: Sequence[Row]
    sums: tables.Sums
    input: Sequence[Sequence[formats.Value]]
    notes: tuple[str, ...]
    numbers: Account


def tabulate(question: Question, target: Target, files: Files) -> None:
    """One line a layer, then the whole network."""
    files.check()
    costs = cost(question, target, question.symbols(target))
    rows, numbers = list(costs.rows), list(costs.numbers.rows)
    notes = list(costs.notes)
    if question.depth is not None:
        rows, numbers = tables.group(rows, question.depth), tables.group(numbers, question.depth)
    if question.top is not None:
        most = tables.largest(numbers, question.top)
        notes.append(f"the {len(most)} of {len(rows)} with most connections; totals are of all")
        rows, numbers = pick(rows, most), pick(numbers, most)
    title = describe_target(target, costs.numbers)
    if files.bars is not None:
        figure.save(figure.bars(numbers, title), files.bars)
        say(f"wrote {files.bars}")
    if files.shapes is not None:
        drawn = shapes.draw(costs.numbers.operations, costs.numbers.input[0], title)
        figure.save(drawn, files.shapes)
        say(f"wrote {files.shapes}")
    if question.format == "json":
        print_json(
            {
                **tables.document(target.model, costs.input, rows, costs.sums, notes),
                "arguments": dict(target.arguments),
                "batch": target.batch,
                "device": question.device,
                "optimizer": question.optimizer,
            }
        )
        return
    whole = tables.tabulate_whole(
        costs.sums, question.device, target.batch, question.optimizer, notes
    )
    if question.format == "csv":
        show(question, [tables.tabulate(rows, costs.sums, title, full=True), whole])
    else:
        show(question, [tables.tabulate(rows, costs.sums, title), whole])


def cost(question: Question, target: Target, names: Sequence[str]) -> Costs:
    """Counts the network, and finds and checks its formulas if any symbol is free."""
    numbers = question.count(target)
    if not names:
        sums = tables.totals_of(numbers)
        return Costs(numbers.rows, sums, numbers.input, numbers.notes, numbers)
    formulas = find_formulas(question, target, names)
    point = {name: target.value(name) for name in names}
    if all(holds(condition, point) for condition in formulas.conditions):
        comparison.check(formulas, numbers, point)
    input = [[size if isinstance(size, int) else Free(size, 1).symbol
              for size in sizes_of(target, names)]]  # fmt: skip
    notes = (*notes_on(formulas, target, numbers), *numbers.notes)
    return Costs(formulas.rows, tables.add_formulas(formulas.rows), input, notes, numbers)


def find_formulas(question: Question, target: Target, names: Sequence[str]) -> Formulas[Row]:
    """The network's rows as formulas in the symbols."""
    if len(target.shapes) > 1:
        raise AccountError(
            f"{target.model}: formulas are for networks of one input; leave out --free"
        )
    batch, *shape = sizes_of(target, names)
    with redirect_stdout(sys.stderr):
        return symbolic_trace(
            target.build,
            [Free(name, target.value(name)) for name in names],
            input=shape,
            batch=batch,
            arguments={k: value for k, value in target.arguments.items() if k not in names},
            learn=question.learn,
        )


def sizes_of(target: Target, names: Sequence[str]) -> list[int | str]:
    """The input's shape with the batch, free sizes by name."""
    pairs = zip(("B", *target.names), (target.batch, *target.shapes[0]), strict=True)
    return [name if name in names else size for name, size in pairs]  # type: ignore[misc]


def notes_on(formulas: Formulas[Row], target: Target, numbers: Account) -> list[str]:
    """Where the formulas hold, where they were checked, and what they give at the values."""
    totals = numbers.totals
    notes = [
        f"at {spell({s.name: target.value(s.name) for s in formulas.free})}: "
        f"{totals.parameters:,} parameters, {totals.connections:,} connections (MACs)"
    ]
    if formulas.conditions:
        notes.append(f"holds where {', '.join(map(describe, formulas.conditions))}")
    checked = "; ".join(spell(point) for point in formulas.points)
    return [*notes, f"checked against the network at {checked}", *formulas.notes]


def spell(point: Any) -> str:
    """{"k": 3} -> "k = 3"."""
    return ", ".join(f"{name} = {value}" for name, value in point.items())


def spell_shape(shape: Sequence[int]) -> str:
    """(1, 32, 32) -> "1x32x32"."""
    return "x".join(map(str, shape))


def tabulate_as_written(question: Question, target: Target) -> None:
    """The write-up's Table 1, with what happens when the picture doubles."""
    names = question.symbols(target)
    if names:
        # with H and W free too, one run tells what doubles
        costs = cost(question, target, tuple(dict.fromkeys([*names, "H", "W"])))
        sides: dict[str, Any] = {
            name: target.value(name) for name in ["H", "W"] if name not in names
        }
        rows = put_in(costs.rows, sides)
        twice: dict[str, Any] = {
            name: 2 * Free(name, 1).symbol for name in ("H", "W") if name in names
        }
        doubled = put_in(costs.rows, {**{k: 2 * v for k, v in sides.items()}, **twice})
        input, notes = [[sides.get(str(size), size) for size in costs.input[0]]], costs.notes
    else:
        numbers = question.count(target)
        as_written(numbers.rows)  # a network that has no such table is told before it is doubled
        rows, doubled = numbers.rows, question.count(target.doubled()).rows
        input, notes = numbers.input, numbers.notes  # type: ignore[assignment]
    table = as_written(rows, doubled)
    if question.format == "json":
        print_json(table1.document(target.model, input, table, notes))
        return
    title = (
        f"{target.model} as the write-up's Table 1 has it, input {spell_shape(target.shapes[0])}"
    )
    point = target.symbols
    lines = table1.tabulate(table, title, point)
    show(question, [lines, table1.tabulate_totals(table, notes, point)])


def compare(question: Question, first: Target, second: Target) -> None:
    """The totals of two networks, or of one at two sizes."""
    costs = [cost(question, target, question.symbols(target)) for target in (first, second)]
    names = (first.model, second.model)
    if first.model == second.model:
        names = (spell_shape(first.shapes[0]), spell_shape(second.shapes[0]))
    sums = (costs[0].sums, costs[1].sums)
    numbers = (tables.totals_of(costs[0].numbers), tables.totals_of(costs[1].numbers))
    if question.format == "json":
        print_json(comparison.document(names, sums, numbers))
        return
    title = " and ".join(
        describe_target(target, part.numbers)
        for target, part in zip((first, second), costs, strict=True)
    )
    notes = [
        f"{name}: {note}" for name, part in zip(names, costs, strict=True) for note in part.notes
    ]
    show(question, [comparison.compare(names, sums, numbers, title, tuple(notes))])


def solve(question: Question, target: Target, symbol: str, limit: str) -> None:
    """The largest value of a symbol within a limit."""
    parsed = solving.parse_limit(limit)

    def count(value: int) -> int:
        found: int = getattr(question.count(target.at(symbol, value)).totals, parsed.quantity)
        return found

    solution = solving.solve(symbol, target.value(symbol), count, parsed)
    if question.format == "json":
        print_json({"model": target.model, **solution.document()})
    else:
        print(solution)


def pick(rows: Sequence[Row], layers: Sequence[str]) -> list[Row]:
    """The rows of those layers, in that order."""
    by_layer = {row.layer: row for row in rows}
    return [by_layer[layer] for layer in layers]


def describe_target(target: Target, numbers: Account) -> str:
    """A title: "cnn (NF = 64), input 1x1x32x32"."""
    given = ", ".join(f"{name} = {value}" for name, value in target.arguments.items())
    inputs = ", ".join(map(spell_shape, numbers.input))
    return f"{target.model}{f' ({given})' if given else ''}, input {inputs}"


def show(question: Question, parts: Sequence[formats.Table]) -> None:
    """Print the tables, an empty line between; of CSV the first alone, and its notes to stderr."""
    if question.format == "csv":
        print(formats.write(parts[0], "csv"))
        for note in (note for part in parts for note in part.notes):
            say(f"note: {note}")
        return
    print("\n\n".join(formats.write(part, question.format) for part in parts))
