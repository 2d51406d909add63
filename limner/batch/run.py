"""Color many pictures, one after the other; a bad picture does not stop the rest."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.batch.plan import Job, make_folders
from limner.errors import LimnerError, PictureError
from limner.picture import Pixels, from_array, write_strips

if TYPE_CHECKING:
    from limner.paint.painter import Painter


@dataclass(frozen=True)
class Result:
    """What became of one picture; where `error` is set, nothing but the input is known."""

    input: Path
    output: Path | None = None
    width: int | None = None  # pixels, upright
    height: int | None = None
    seconds: float = 0.0
    certainty: float | None = None  # mean over the picture, 0..1
    error: str | None = None
    colors_ignored: bool = False

    def to_json(self) -> dict[str, Any]:
        """The picture's entry in `limner colorize --json`."""
        document = asdict(self)
        del document["colors_ignored"]
        document["input"] = str(self.input)
        document["output"] = None if self.output is None else str(self.output)
        return document


def run(
    jobs: Sequence[Job], painter: "Painter", *, quality: int = 95, overwrite: bool = False
) -> Iterator[Result]:
    """Do the jobs in their order and yield each result as soon as its files are written.

    `quality` (1..100) is that of JPEG and WebP. What is wrong with one picture (a LimnerError) is
    its result's `error`; anything else, an interruption too, ends the run.
    """
    make_folders(jobs)
    for job in jobs:
        start = time.perf_counter()
        try:
            result = _color(job, painter, quality, overwrite, start)
        except LimnerError as error:
            seconds = time.perf_counter() - start
            result = Result(job.input, seconds=round(seconds, 3), error=str(error))
        yield result


def _color(job: Job, painter: "Painter", quality: int, overwrite: bool, start: float) -> Result:
    for target in job.targets():
        if not overwrite and os.path.lexists(target):
            raise PictureError(f"{target}: exists already; add --overwrite to replace it")
    painting = painter.colorize(job.input)
    painting.save(job.output, quality=quality, overwrite=overwrite)
    if job.certainty:
        _write(painting.certainty_picture(), job.certainty, overwrite)
    if job.compare:
        _write(painting.compare_picture(), job.compare, overwrite)
    return Result(
        job.input,
        job.output,
        painting.width,
        painting.height,
        round(time.perf_counter() - start, 3),
        round(painting.certainty, 4),
        colors_ignored=painting.colors_ignored,
    )


def _write(pixels: Pixels, path: Path, overwrite: bool) -> None:
    picture = from_array(pixels)
    write_strips(path, picture.width, picture.height, picture.strips(), overwrite=overwrite)
