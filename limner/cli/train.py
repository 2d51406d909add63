"""`limner train`: a recipe becomes a run; a run goes on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from limner.cli.terminal import Progress, need_extra, say

if TYPE_CHECKING:
    from limner.learn.metrics import Report


def train(
    what: Annotated[
        Path, typer.Argument(metavar="RECIPE.toml|RUN", help="A recipe to start, a run to go on.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="RUN", help="Folder of the new run."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of the recipe."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH[=WEIGHT],...", help="Learn from these sets, not the recipe's."
        ),
    ] = None,
    from_model: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME|FILE", help="Start from the weights of a model."),
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16"] | None,
        typer.Option(help="Of the arithmetic; auto measures for a second. [default: auto]"),
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"] | None,
        typer.Option(help="Where it runs; auto takes cuda where it is there. [default: auto]"),
    ] = None,
) -> None:
    """Train a model from a recipe, or go on with a run that was stopped.

    Ctrl-C saves and stops; `limner train RUN` goes on from there, as if it had never stopped.
    The run's folder keeps metrics.jsonl. Prints the folder when the training is done.

    \b
    Examples:
      limner train recipes/unet.toml -o runs/unet
      limner train runs/unet
      limner train recipes/photo.toml -o runs/mine --data photos=9,early=1 --set steps=2000
      limner train recipes/photo.toml -o runs/album --data album --from photo
    """
    need_extra("train")
    from limner import weights
    from limner.learn import fit
    from limner.recipe import Recipe

    with Progress("steps") as progress:
        report = _report(progress)
        if what.is_dir():
            if output or settings or data or from_model or precision or device:
                raise typer.BadParameter(
                    f"{what} is a run and goes on as it began; give it without options"
                )
            run = what
            fit.resume(run, report=report)
        else:
            if output is None:
                raise typer.BadParameter(f"{what} is a recipe; say where its run goes with -o RUN")
            run = output
            recipe = Recipe.load(what, [*(settings or []), *_data_setting(data)])
            fit.start(
                recipe,
                run,
                precision=precision or "auto",
                device=device or "auto",
                source=weights.path(from_model) if from_model else None,
                report=report,
            )
    say(f"trained; make a model file of it with: limner export {run} -o {run.name}.onnx")
    print(run)


def _data_setting(data: str | None) -> list[str]:
    """`--data a=9,b` as a setting of the recipe: data=["a=9", "b"]."""
    from json import dumps

    return [] if data is None else [f"data={dumps(data.split(','), ensure_ascii=False)}"]


def _report(progress: Progress) -> "Report":
    """What training says while it runs: the loss on a bar, a line for each validation."""

    def report(step: int, steps: int, record: dict[str, Any] | None) -> None:
        if record is None:
            progress.update(step, steps)
        elif "validation" in record:
            scores = (f"{name} {value:.4f}" for name, value in record["validation"].items())
            say(f"step {step:,} of {steps:,}: validation {', '.join(scores)}")
        else:
            progress.note(f"step {step:,} of {steps:,}: loss {record['loss']:.4f}")

    return report
