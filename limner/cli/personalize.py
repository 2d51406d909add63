"""`limner personalize`: a model learns the colors of a person's own photographs."""

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.options import Overwrite, real
from limner.cli.terminal import Progress, need_extra, say
from limner.cli.train import on_record


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
    on pictures like yours it may lose on others; --strength 0.5 goes half the way. Prints the path
    of the new model.

    \b
    Examples:
      limner personalize photo --with my_photos -o mine.onnx
      limner personalize photo --with my_photos -o mild.onnx --strength 0.5
      limner colorize old.jpg -o colorized --model mine.onnx
    """
    need_extra("personalize")
    from limner import weights
    from limner.learn.personalize import personalize as learn

    with Progress("steps") as progress:
        learn(
            weights.path(model),
            photos,
            output,
            strength=strength,
            overwrite=overwrite,
            report=on_record(progress),
        )
    say(f"personalized; color with it: limner colorize PHOTO -o DIR --model {output}")
    print(output)
