"""`limner colorize`: photographs and folders in, colored pictures out."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from limner.cli.options import Device, Json, Overwrite, real, whole
from limner.cli.stop import check_stop, whole_pictures
from limner.cli.terminal import Progress, print_json, say

if TYPE_CHECKING:
    from limner.batch.run import Result

SOME_FAILED = 1


def colorize(
    photos: Annotated[
        list[Path],
        typer.Argument(metavar="PHOTO|FOLDER", help="JPEG, PNG, TIFF or WebP; folders of them."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="DIR|FILE", help="Folder of the results; FILE for one photo."
        ),
    ],
    model: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="`limner models` lists the names.")
    ] = "photo",
    saturation: Annotated[
        float,
        typer.Option(parser=real(0, 2), metavar="0..2", help="Factor of the chroma; 0 is grey."),
    ] = 1.0,
    temperature: Annotated[
        float | None,
        typer.Option(
            parser=real(0.01, 10),
            metavar="0.01..10",
            help="Below 1 the likeliest colors win, above 1 they mix. [default: the model's own]",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            parser=whole(1),
            metavar="PIXELS",
            help="Short side of what the network sees. [default: the model's own]",
        ),
    ] = None,
    device: Device = "auto",
    certainty: Annotated[
        bool, typer.Option("--certainty", help="Write NAME.certainty.png: how sure the model is.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Write NAME.compare.png: before and after.")
    ] = False,
    format: Annotated[
        Literal["jpeg", "png", "tiff", "webp"] | None,
        typer.Option(help="Format of the results. [default: that of each photo]"),
    ] = None,
    quality: Annotated[
        int,
        typer.Option(parser=whole(1, 100), metavar="1..100", help="Quality of JPEG and WebP."),
    ] = 95,
    overwrite: Overwrite = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Folders in folders too; their structure is kept.")
    ] = False,
    max_pixels: Annotated[
        int,
        typer.Option(parser=whole(1), metavar="PIXELS", help="Refuse pictures with more pixels."),
    ] = 100_000_000,
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
    from limner.batch.plan import plan
    from limner.batch.run import run
    from limner.paint.painter import Painter

    start = time.monotonic()
    jobs = plan(
        photos,
        output,
        format=format,
        recursive=recursive,
        certainty=certainty,
        compare=compare,
    )
    painter = Painter(
        model,
        size=size,
        temperature=temperature,
        saturation=saturation,
        device=device,
        max_pixels=max_pixels,
    )
    results: list[Result] = []
    with Progress("pictures") as progress, whole_pictures():
        progress.update(0, len(jobs))
        for result in run(jobs, painter, quality=quality, overwrite=overwrite):
            warn = result.colors_ignored and not any(r.colors_ignored for r in results)
            results.append(result)
            progress.update(len(results), len(jobs))
            _tell(result, warn, json)
            check_stop()
    colored = sum(result.error is None for result in results)
    say(f"{colored} of {len(jobs)} pictures colored in {time.monotonic() - start:.1f} s")
    if json:
        print_json({"model": model, "pictures": [result.to_json() for result in results]})
    if colored < len(jobs):
        raise typer.Exit(SOME_FAILED)


def _tell(result: "Result", warn: bool, json: bool) -> None:
    if result.error is not None:
        say(result.error)
    elif not json:
        print(result.output, flush=True)
    if warn:
        say(
            f"{result.input}: has colors of its own; they are ignored, "
            "the light alone is read (said once)"
        )
