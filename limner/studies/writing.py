"""An answer becomes files: result.json, tables (Markdown, CSV), figures (PNG, SVG), a page."""

import csv
import io
import json
from collections.abc import Sequence
from math import isfinite
from typing import Any

from limner.drawing import render
from limner.files import write_atomically
from limner.studies.record import origin
from limner.studies.study import Answer, Records, Setting, Study, Table

PICTURES = "pictures"  # how the name of a figure begins that shows pictures of the data set


def markdown(table: Table) -> str:
    """The table as GitHub's Markdown, with its note below it."""
    lines = [_line(table.header), "|---" * len(table.header) + "|", *map(_line, table.rows)]
    return "\n".join(lines) + (f"\n\n{table.note}" if table.note else "") + "\n"


def _line(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def as_csv(table: Table) -> str:
    """The table as RFC 4180 writes one."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([table.header, *table.rows])
    return buffer.getvalue()


def names(answer: Answer) -> list[str]:
    """The files that the answer becomes."""
    tables = [f"{name}.{kind}" for name in answer.tables for kind in ("md", "csv")]
    figures = [f"{name}.{kind}" for name in answer.figures for kind in ("png", "svg")]
    return [*tables, *figures, "result.json", "README.md"]


def write(study: Study, setting: Setting, records: Records, answer: Answer) -> None:
    """Write all of the answer into the study's folder, over an older answer of the same study."""
    folder = setting.folder
    for name, table in answer.tables.items():
        write_atomically(folder / f"{name}.md", f"{table.title}\n\n{markdown(table)}".encode())
        write_atomically(folder / f"{name}.csv", as_csv(table).encode())
    for name, figure in answer.figures.items():
        for kind in ("png", "svg"):
            write_atomically(folder / f"{name}.{kind}", render(figure, kind))
    document = result(study, setting, records, answer)
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    write_atomically(folder / "result.json", text.encode())
    write_atomically(folder / "README.md", page(study, setting, answer).encode())


def result(study: Study, setting: Setting, records: Records, answer: Answer) -> dict[str, Any]:
    """The answer as one JSON document."""
    return {
        "study": study.name,
        "title": study.title,
        "questions": list(study.questions),
        "quick": setting.quick,
        "data": setting.data,
        "command": command(study, setting),
        "verdict": answer.verdict,
        "tables": {
            name: {
                "title": table.title,
                "header": list(table.header),
                "rows": [list(row) for row in table.rows],
                "note": table.note,
            }
            for name, table in answer.tables.items()
        },
        "figures": list(answer.figures),
        "facts": strict(answer.facts),
        "runs": {name: [record["key"] for record in runs] for name, runs in records.items()},
        **origin(),
    }


def strict(value: Any) -> Any:
    """The value as JSON can hold it: what is no number, one seed's interval say, is null."""
    if isinstance(value, dict):
        return {name: strict(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [strict(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def command(study: Study, setting: Setting) -> str:
    """What to type to have this answer again."""
    quick = " --quick" if setting.quick else ""
    data = "" if setting.data == study.data else f" --data {setting.data}"
    return f"limner study {study.name}{quick}{data}"


def page(study: Study, setting: Setting, answer: Answer) -> str:
    """The answer as a page of Markdown."""
    lines = [f"# {study.title}", ""]
    lines += [f"`{command(study, setting)}`", ""]
    lines += [line + "\n" for line in answer.verdict]
    for table in answer.tables.values():
        lines += [f"## {table.title}", "", markdown(table)]
    pictures = [name for name in answer.figures if shows_pictures(name)]
    lines += [f"![{name}]({name}.png)\n" for name in answer.figures if name not in pictures]
    if pictures:
        files = ", ".join(f"`{name}.png`, `{name}.svg`" for name in pictures)
        lines.append(
            f"The command draws rows of pictures, too: {files}. They show the data set's own "
            "pictures, whose terms are theirs.\n"
        )
    return "\n".join(lines)


def shows_pictures(figure: str) -> bool:
    """Whether a figure shows pictures of the data set, which nobody but its owner may spread."""
    return figure.startswith(PICTURES)
