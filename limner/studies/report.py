"""Answers of studies as one page of HTML that holds all that it shows: no network, no scripts."""

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from limner.errors import StudyError
from limner.studies.catalog import result
from limner.studies.record import Record, find_record
from limner.studies.runner import places
from limner.studies.writing import shows_pictures

TITLE = "limner: studies of colorization as classification"
STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --faint: #666; --line: #ddd; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #161616; --faint: #a0a0a0; --line: #3a3a3a; }
}
body { max-width: 62rem; margin: 0 auto; padding: 1rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1, h2, h3 { line-height: 1.2; }
section { border-top: 1px solid var(--line); margin-top: 2.5rem; }
a { color: inherit; }
.verdict { padding-left: 1.2rem; }
.verdict li { margin: 0.4rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 0.3rem 0; }
th, td { padding: 0.2rem 0.6rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
td.words { text-align: left; }
.note, figcaption, dt { color: var(--faint); font-size: 0.85rem; }
figure { margin: 1.5rem 0; }
img { max-width: 100%; height: auto; background: #fff; }
dd { margin: 0 0 0.4rem; overflow-wrap: anywhere; }
@media print {
  :root { --ink: #000; --paper: #fff; --faint: #444; --line: #bbb; }
  body { max-width: none; font-size: 9pt; }
  .wide { overflow: visible; }
  table { font-size: 7pt; }
  figure, tr, .verdict li { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
}
"""


def page(folders: Sequence[Path]) -> str:
    """The answers in the folders, in that order, as one HTML document.

    Raises StudyError if a folder holds no answer, or a figure or a run of it is missing.
    """
    answers = [(folder, result(folder)) for folder in folders]
    links = "".join(
        f'<li><a href="#answer-{number}">{escape(answer["title"])}</a></li>'
        for number, (_, answer) in enumerate(answers)
    )
    sections = [section(number, *answer) for number, answer in enumerate(answers)]
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(TITLE)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            f"<h1>{escape(TITLE)}</h1>\n<nav><ul>{links}</ul></nav>",
            *sections,
            "</body>\n</html>\n",
        ]
    )


def section(number: int, folder: Path, answer: Mapping[str, Any]) -> str:
    """One study: its verdict, figures, tables, and what its runs were."""
    questions = ", ".join(answer["questions"])
    verdict = "".join(f"<li>{escape(line)}</li>" for line in answer["verdict"])
    return "\n".join(
        [
            f'<section id="answer-{number}">\n<h2>{escape(answer["title"])}</h2>',
            f'<p class="note">{escape(questions)}</p>' if questions else "",
            f'<ul class="verdict">{verdict}</ul>',
            *(figure(folder, name) for name in answer["figures"]),
            *(
                table(t["title"], t["header"], t["rows"], t["note"])
                for t in answer["tables"].values()
            ),
            "<h3>How it was made</h3>",
            origin(answer),
            runs(folder, answer["runs"]),
            "</section>",
        ]
    )


def figure(folder: Path, name: str) -> str:
    """A figure, its PNG inside the page; of one that shows the data set's pictures, and does not
    come along with a study's files, how to have it."""
    path = folder / f"{name}.png"
    if shows_pictures(name) and not path.exists():
        return (
            f'<p class="note">{escape(path.name)} shows pictures of the data set, which do not '
            "travel with the answer; the command below draws them.</p>"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StudyError(
            f"{path}: the figure cannot be read ({error.strerror}); run the study again"
        ) from error
    data = base64.b64encode(content).decode()
    caption = escape(name.replace("-", " ").replace("_", " "))
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]], note: str = "") -> str:
    """A table that scrolls sideways where the screen is narrow."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    return (
        f'<div class="wide"><table><caption>{escape(title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        + (f'<p class="note">{escape(note)}</p>' if note else "")
    )


def cell(value: object) -> str:
    return f"<td>{escape(str(value))}</td>"


def origin(answer: Mapping[str, Any]) -> str:
    """What to type, and where the answer was made."""
    facts = {
        "command": answer["command"],
        "kind": "a quick look" if answer["quick"] else "full",
        "data": answer["data"],
        "machine": answer["machine"],
        "limner": f"{answer['limner']}, commit {answer['commit'] or 'unknown'}",
        "torch": answer["torch"],
    }
    lines = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f"<dl>{lines}</dl>"


def runs(folder: Path, keys: Mapping[str, Sequence[str]]) -> str:
    """The runs of each arm: seeds, time, machine, commit, and settings; what all share above."""
    records = {name: [_record(folder, name, key) for key in arm] for name, arm in keys.items()}
    if not records:
        return ""
    settings = {name: _settings(arm[0]) for name, arm in records.items()}
    first = next(iter(settings.values()))
    shared = {
        name: value
        for name, value in first.items()
        if all(other.get(name) == value for other in settings.values())
    }
    rows = []
    for name, arm in records.items():
        own = {key: value for key, value in settings[name].items() if key not in shared}
        rows.append(
            (
                name,
                ", ".join(str(record["settings"]["seed"]) for record in arm),
                f"{arm[0]['parameters']:,}",
                f"{arm[0]['steps']:,}",
                f"{sum(record['seconds'] for record in arm) / len(arm):.0f}",
                ", ".join(dict.fromkeys(record["machine"] for record in arm)),
                ", ".join(dict.fromkeys(record["commit"] or "unknown" for record in arm)),
                _told(own),
            )
        )
    header = ("", "seeds", "parameters", "steps", "seconds a run", "machine", "commit", "settings")
    return table("Runs", header, rows, f"Settings of all runs: {_told(shared)}.")


def _record(folder: Path, arm: str, key: str) -> Record:
    record = find_record(places(folder), key)
    if record is None:
        raise StudyError(f"{folder}: the run {key} of {arm!r} is missing; run the study again")
    return record


def _settings(record: Record) -> dict[str, Any]:
    """The run's settings without its seed, and the palette that they came with."""
    palette = record["palette"]
    settings = {name: value for name, value in record["settings"].items() if name != "seed"}
    return {**settings, "palette": f"{len(palette['colors'])} colors, {palette['space']}"}


def _told(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
