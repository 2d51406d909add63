"""`limner train`: a recipe becomes a run; a run goes on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from limner.cli.terminal import Progress, need_extra, say
from limner.errors import TrainingError

if TYPE_CHECKING:
    from limner.learn.metrics import Report


What = Annotated[
    Path, typer.Argument(metavar="RECIPE.toml|RUN", help="A recipe to start, a run to go on.")
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="RUN", help="Folder of the new run.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of the recipe."),
]
Data = Annotated[
    str | None,
    typer.Option(metavar="NAME|PATH[=WEIGHT],...", help="Learn from these sets, not the recipe's."),
]
FromModel = Annotated[
    str | None,
    typer.Option("--from", metavar="NAME|FILE", help="Start from the weights of a model."),
]
Cache = Annotated[
    Literal["none", "fp32", "bf16"] | None,
    typer.Option(help="Keep what the frozen layers say; of a recipe whose last layer learns."),
]
Weights = Annotated[
    Literal["none", "inverse", "root"] | None,
    typer.Option("--class-weights", help="To segment: how much more rare classes count."),
]
Foreground = Annotated[
    str | None,
    typer.Option(metavar="CLASS,...", help="To segment: these classes against all others."),
]
Precision = Annotated[
    Literal["auto", "fp32", "bf16"] | None,
    typer.Option(help="Of the arithmetic; auto measures for a second. [default: auto]"),
]
Where = Annotated[
    Literal["auto", "cpu", "cuda"] | None,
    typer.Option(help="Where it runs; auto takes cuda where it is there. [default: auto]"),
]


def train(
    what: What,
    output: Output = None,
    settings: Settings = None,
    data: Data = None,
    from_model: FromModel = None,
    cache: Cache = None,
    class_weights: Weights = None,
    foreground: Foreground = None,
    precision: Precision = None,
    device: Where = None,
) -> None:
    """Train a model from a recipe, or go on with a run that was stopped.

    Ctrl-C saves and stops; `limner train RUN` goes on from there, as if it had never stopped.
    The run's folder keeps metrics.jsonl. Prints the folder when the training is done.

    \b
    Keys of a recipe (docs/recipe.md explains them):
      name task network k NF skips greys width encoder learn data split pictures holdout
      foreground palette size zoom flip move tone scale shift views cache loss_at class_weights
      shuffle batch epochs steps optimizer learning_rate encoder_rate warmup schedule
      weight_decay ema validate seed

    \b
    Examples:
      limner train recipes/unet.toml -o runs/unet
      limner train runs/unet
      limner train recipes/photo.toml -o runs/mine --data photos=9,early=1 --set steps=2000
      limner train recipes/photo.toml -o runs/album --data album --from photo
      limner train recipes/voc.toml -o runs/pets --data voc --foreground cat,dog
    """
    need_extra("train")
    from limner import weights
    from limner.learn import fit
    from limner.recipe import Recipe

    with Progress("steps") as progress:
        report = on_record(progress)
        if os.path.isdir(what):
            given = (output, data, from_model, cache, class_weights, foreground, precision, device)
            if settings or any(option is not None for option in given):
                raise TrainingError(
                    f"{what}: a run goes on as it began; give it without options, "
                    "or start a recipe with -o RUN"
                )
            run = what
            with _going_on(run):
                fit.resume(run, report=report)
        else:
            options = {"cache": cache, "class_weights": class_weights}
            words = [f"{key}={word}" for key, word in options.items() if word]
            lists = [*_list("data", data), *_list("foreground", foreground)]
            recipe = Recipe.load(what, [*(settings or []), *lists, *words])
            if output is None:
                raise TrainingError(f"{what}: a recipe needs a place for its run; give -o RUN")
            run = output
            with _going_on(run):
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


@contextmanager
def _going_on(run: Path) -> Iterator[None]:
    """Tell what to type once there is room for the features: the run has begun, and the same call
    again would be refused."""
    from limner.learn.features import NoRoom

    try:
        yield
    except NoRoom as error:
        raise NoRoom(
            f"{error}, and go on with: limner train {run} (or start another with fewer views: "
            "--set views=... and another -o)"
        ) from error


def _list(key: str, text: str | None) -> list[str]:
    """`--data a=9,b` as a setting of the recipe: data=["a=9", "b"]."""
    from json import dumps

    return [] if text is None else [f"{key}={dumps(text.split(','), ensure_ascii=False)}"]


def on_record(progress: Progress) -> "Report":
    """What training says while it runs: the loss on a bar, a line for each validation."""

    def report(step: int, steps: int, record: dict[str, Any] | None) -> None:
        if record is None:
            progress.update(step, steps)
        elif "bytes" in record:
            kind = "photographs" if "decoding" in record else "features"
            say(f"{kind}: {record['bytes'] / 1e6:,.0f} MB in {record['caching']}")
        elif "left_out" in record:
            say(record["left_out"])
        elif "caching" in record:
            progress.note(f"features: {step:,} of {steps:,} pictures")
        elif "decoding" in record:
            progress.note(f"decoding {record['decoding']}: {step:,} of {steps:,} pictures")
        elif "validation" in record:
            scores = (f"{name} {value:.4f}" for name, value in record["validation"].items())
            say(f"step {step:,} of {steps:,}: validation {', '.join(scores)}")
        else:
            progress.note(f"step {step:,} of {steps:,}: loss {record['loss']:.4f}")

    return report
