"""`limner segment`: photographs and folders in; what each pixel shows out."""

import time
from pathlib import Path
from typing import Annotated

import typer

from limner.cli.options import Device, Json, MaxPixels, Overwrite, Photos, Recursive
from limner.cli.terminal import print_json, say, watch

SOME_FAILED = 1


def segment(
    photos: Photos,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the results.")
    ],
    model: Annotated[
        str, typer.Option("--model", metavar="NAME|FILE", help="`limner models` lists the names.")
    ] = "voc",
    device: Device = "auto",
    overwrite: Overwrite = False,
    recursive: Recursive = False,
    max_pixels: MaxPixels = 100_000_000,
    json: Json = False,
) -> None:
    """Say what every pixel of a photograph shows: a person, a horse, the background.

    Writes NAME.overlay.png, the photograph under the colors of its classes with a legend, and
    NAME.mask.png, an indexed PNG of the classes' numbers in their colors. Prints both paths.
    Exit code 1: some pictures failed, the rest are done.

    \b
    Examples:
      limner segment horse.jpg -o parts
      limner segment album -o parts --recursive
      limner segment horse.jpg -o parts --json
    """
    from limner.batch import run
    from limner.batch.plan import plan_segments
    from limner.segment.segmenter import Segmenter

    start = time.monotonic()
    jobs = plan_segments(photos, output, recursive=recursive)
    segmenter = Segmenter(model, device=device, max_pixels=max_pixels)
    running = run.segment(jobs, segmenter, overwrite=overwrite)
    results = list(watch(running, len(jobs), json))
    done = sum(result.error is None for result in results)
    say(f"{done} of {len(jobs)} pictures segmented in {time.monotonic() - start:.1f} s")
    if json:
        print_json({"model": model, "pictures": [result.to_json() for result in results]})
    if done < len(jobs):
        raise typer.Exit(SOME_FAILED)
