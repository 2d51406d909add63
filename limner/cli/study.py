"""`limner study`: a question of the write-up, answered by runs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.options import Json
from limner.cli.terminal import LEARN, Progress, need_extra, print_json, say

if TYPE_CHECKING:
    from limner.studies.study import Arms, Records

PACKAGES = (*LEARN, "matplotlib", "scipy")


def study(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One of the studies below.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="A first look in minutes: few pictures, few epochs.")
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="CIFAR-10 (its horses) or a folder like it; to tune, a set with masks (voc).",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="[default: studies/NAME]"),
    ] = None,
    json: Json = False,
) -> None:
    """Answer a question of the write-up: run what has to be run, then say what the runs say.

    Finished runs are kept and never run again. Ctrl-C saves and stops, as does a sitting of two
    hours; the same call goes on. The folder then holds result.json, tables (Markdown, CSV) and
    figures (PNG, SVG). Prints the verdict and the folder.

    \b
    Studies:
      skip-connections  A2, B3: does the UNet beat the CNN, and which skip does it?
      batch-size        B4: is a smaller batch better, or are there just more updates?
      affine-input      A4: what changes if the network sees a*x + b?
      image-size        A3: what grows when the picture doubles?
      palette           how many colors, and in RGB or in ab?
      category          does what holds for horses hold for other things?
      tuning            C1 to C5: all of a network, or its last layer alone?

    \b
    Examples:
      limner study skip-connections
      limner study batch-size --quick -o quick/batch-size
      limner report skip-connections batch-size -o report.html
    """
    need_extra("study", PACKAGES)
    from limner.studies import catalog

    chosen = catalog.study(name)
    from limner.studies import runner, writing
    from limner.studies.study import Setting

    folder = output or catalog.FOLDER / name
    catalog.check_free(folder, name, quick, (catalog.RESULT, "README.md"))
    chosen.check(data or chosen.data)
    runner.make(folder)
    setting = Setting(data or chosen.data, quick, folder)
    arms = chosen.plan(setting)
    records = _records(name, arms, folder) if arms else {}
    if minutes := chosen.minutes[not quick]:
        say(f"{name}: measures now, for about {_duration(60 * minutes)}")
    answer = chosen.answer(setting, records)
    catalog.check_free(folder, name, quick, writing.names(answer))
    writing.write(chosen, setting, records, answer)
    if json:
        print_json(catalog.result(folder))
        return
    for line in answer.verdict:
        print(line)
    print(folder)


def _records(name: str, arms: "Arms", folder: Path) -> "Records":
    """The records of all runs; those that are missing are carried out first."""
    from limner.studies import runner
    from limner.studies.record import key

    recipes = runner.in_order(arms)
    missing = runner.missing(recipes, folder)
    all_runs = len({key(recipe) for recipe in recipes})  # arms may share some
    told = f"{name}: {all_runs} runs, {all_runs - len(missing)} finished"
    if not missing:
        say(told)
        return runner.collect(arms, folder)
    jobs = os.cpu_count() or 1
    seconds = runner.estimate(missing.values(), jobs)
    say(f"{told}; the others take about {_duration(seconds)}, {jobs} side by side")
    try:
        with Progress("runs") as progress:
            progress.update(0, len(missing))
            runner.carry_out(missing, folder, progress.update, jobs)
    except KeyboardInterrupt:
        say(f"{folder}: what is done is saved; the same call goes on")
        raise
    return runner.collect(arms, folder)


def _duration(seconds: float) -> str:
    """As people say it: "40 s", "25 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
