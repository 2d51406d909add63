"""`limner colorize`: photographs and folders in, colored pictures out."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from limner.cli.options import Device, Json, MaxPixels, Overwrite, Photos, Recursive, real, whole
from limner.cli.terminal import print_json, say, watch

if TYPE_CHECKING:
    from limner.batch.run import ColorResult

SOME_FAILED = 1

Output = Annotated[
    Path,
    typer.Option(
        "-o", "--output", metavar="DIR|FILE", help="Folder of the results; FILE for one photo."
    ),
]
ModelName = Annotated[
    str, typer.Option("--model", metavar="NAME|FILE", help="`limner models` lists the names.")
]
Saturation = Annotated[
    float,
    typer.Option(parser=real(0, 2), metavar="0..2", help="Factor of the chroma; 0 is grey."),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        parser=real(0.01, 10),
        metavar="0.01..10",
        help="Below 1 the likeliest colors win, above 1 they mix. [default: the model's own]",
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        parser=whole(1),
        metavar="PIXELS",
        help="Short side of what the network sees. [default: the model's own]",
    ),
]
Certainty = Annotated[
    bool, typer.Option("--certainty", help="Write NAME.certainty.png: how sure the model is.")
]
Compare = Annotated[
    bool, typer.Option("--compare", help="Write NAME.compare.png: before and after.")
]
Format = Annotated[
    Literal["jpeg", "png", "tiff", "webp"] | None,
    typer.Option(help="Format of the results. [default: that of each photo]"),
]
Quality = Annotated[
    int, typer.Option(parser=whole(1, 100), metavar="1..100", help="Quality of JPEG and WebP.")
]


def colorize(
    photos: Photos,
    output: Output,
    model: ModelName = "photo",
    saturation: Saturation = 1.0,
    temperature: Temperature = None,
    size: Size = None,
    device: Device = "auto",
    certainty: Certainty = False,
    compare: Compare = False,
    format: Format = None,
    quality: Quality = 95,
    overwrite: Overwrite = False,
    recursive: Recursive = False,
    max_pixels: MaxPixels = 100_000_000,
    json: Json = False,
) -> None:
    """Color photographs. The light of each stays as it is; the model adds the color.

    Prints the path of each result. Exit code 1: some pictures failed, the rest are done.

    \b
    Examples:
      limner colorize old.jpg -o colorized
      limner colorize old.jpg -o grandmother.png --saturation 1.2
      limner colorize album attic -o colorized --recursive --compare
      limner colorize old.jpg -o colorized --certainty --json
    """
    from limner.batch import run
    from limner.batch.plan import plan
    from limner.paint.painter import Painter

    start = time.monotonic()
    jobs = plan(
        photos, output, format=format, recursive=recursive, certainty=certainty, compare=compare
    )
    painter = Painter(
        model,
        size=size,
        temperature=temperature,
        saturation=saturation,
        device=device,
        max_pixels=max_pixels,
    )
    running = run.color(jobs, painter, quality=quality, overwrite=overwrite)
    results: list[ColorResult] = []
    for result in watch(running, len(jobs), json):
        if result.colors_ignored and not any(before.colors_ignored for before in results):
            say(
                f"{result.input}: has colors of its own; they are ignored, "
                "the light alone is read (said once)"
            )
        results.append(result)
    colored = sum(result.error is None for result in results)
    say(f"{colored} of {len(jobs)} pictures colored in {time.monotonic() - start:.1f} s")
    if json:
        print_json({"model": model, "pictures": [result.to_json() for result in results]})
    if colored < len(jobs):
        raise typer.Exit(SOME_FAILED)
