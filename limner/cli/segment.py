"""`limner segment`: photographs and folders in; what each pixel shows out."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.options import Device, Json, MaxPixels, Overwrite, Photos, Recursive
from limner.cli.terminal import Progress, print_json, say

if TYPE_CHECKING:
    from limner.batch.run import SegmentResult

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
    from limner.batch.plan import plan_segments
    from limner.batch.run import run_segments
    from limner.segment.segmenter import Segmenter

    start = time.monotonic()
    jobs = plan_segments(photos, output, recursive=recursive)
    segmenter = Segmenter(model, device=device, max_pixels=max_pixels)
    results = _watch(run_segments(jobs, segmenter, overwrite=overwrite), len(jobs), json)
    done = sum(result.error is None for result in results)
    say(f"{done} of {len(jobs)} pictures segmented in {time.monotonic() - start:.1f} s")
    if json:
        print_json({"model": model, "pictures": [result.to_json() for result in results]})
    if done < len(jobs):
        raise typer.Exit(SOME_FAILED)


def _watch(running: Iterator["SegmentResult"], total: int, json: bool) -> list["SegmentResult"]:
    """Say what becomes of each picture while the batch runs; all results."""
    results = []
    with Progress("pictures") as progress:
        progress.update(0, total)
        for result in running:
            results.append(result)
            progress.update(len(results), total)
            if result.error is not None:
                say(result.error)
            elif not json:
                print(result.overlay, result.mask, sep="\n", flush=True)
    return results
