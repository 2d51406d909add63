"""`limner export`: a trained run becomes one model file."""

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.options import Overwrite
from limner.cli.terminal import need_extra

PUBLISHED = "torchvision"  # in place of a run's folder


def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="The folder of a trained run; or torchvision/ENCODER: its published DeepLabV3.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.onnx", help="The model file to write.")
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The model's name. [default: the recipe's]"),
    ] = None,
    working_size: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Short side of what the model will see of a picture. [default: as training saw "
            "them]",
        ),
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
      limner export torchvision/resnet101 -o untouched.onnx
    """
    need_extra("export")
    from limner.learn.release import publish, release

    if run.parts[:1] == (PUBLISHED,) and len(run.parts) == 2 and not run.is_dir():
        publish(run.name, output, name=name, working_size=working_size, overwrite=overwrite)
    else:
        release(run, output, name=name, working_size=working_size, overwrite=overwrite)
    print(output)
