"""`limner export`: a trained run becomes one model file."""

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.options import Overwrite
from limner.cli.terminal import need_extra


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a trained run.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.onnx", help="The model file to write.")
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The model's name. [default: the recipe's]"),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a run's network, weights and card as one .onnx file.

    The file is compared with the trained network before it is kept. Prints its path.

    \b
    Examples:
      limner export runs/unet -o unet.onnx
      limner export runs/album -o album.onnx --name album
      limner colorize old.jpg -o colorized --model album.onnx
    """
    need_extra("export")
    from limner.learn.release import release

    release(run, output, name=name, overwrite=overwrite)
    print(output)
