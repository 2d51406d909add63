"""`limner personalize`: a model learns the colors of a person's own photographs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from limner.cli.options import Overwrite, real
from limner.cli.terminal import Progress, need_extra, say
from limner.cli.train import on_record

SOME_LEFT_OUT = 1


def personalize(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A name (`limner models`) or a model file.")
    ],
    photos: Annotated[
        str, typer.Option("--with", metavar="NAME|PATH", help="Folder of color photographs.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.onnx", help="The model file to write.")
    ],
    strength: Annotated[
        float,
        typer.Option(parser=real(0, 1), metavar="0..1", help="0 is the old model, 1 the new one."),
    ] = 1.0,
    overwrite: Overwrite = False,
) -> None:
    """Let a model learn the colors of your own color photographs: of a place, a family, a time.

    Only its last layer learns, in seconds to minutes; dozens of photographs will do. What it gains
    on pictures like yours it may lose on others; --strength 0.5 goes half the way. What it keeps
    of them in limner's cache folder meanwhile goes when it is done. Prints the path of the new
    model. Exit code 1: some photographs could not be read, the others are learned from.

    \b
    Examples:
      limner personalize photo --with my_photos -o mine.onnx
      limner personalize photo --with my_photos -o mild.onnx --strength 0.5
      limner colorize old.jpg -o colorized --model mine.onnx
    """
    need_extra("personalize")
    from limner import weights
    from limner.learn.personalize import personalize as learn

    left_out = 0
    with Progress("steps") as progress:
        show = on_record(progress)

        def report(step: int, steps: int, record: dict[str, Any] | None) -> None:
            nonlocal left_out
            left_out += record is not None and "left_out" in record
            show(step, steps, record)

        learn(
            weights.path(model),
            photos,
            output,
            strength=strength,
            overwrite=overwrite,
            report=report,
        )
    say(f"personalized; color with it: limner colorize PHOTO -o DIR --model {output}")
    print(output)
    if left_out:
        raise typer.Exit(SOME_LEFT_OUT)
