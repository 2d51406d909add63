"""Color or segment many pictures, one after the other; a bad one does not stop the rest."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from limner.batch.plan import ColorJob, Job, SegmentJob, make_folders
from limner.errors import LimnerError, PictureError
from limner.picture import Pixels, from_array, write_strips

if TYPE_CHECKING:
    from limner.paint.painter import Painter
    from limner.segment.segmenter import Segmenter


@dataclass(frozen=True)
class ColorResult:
    """What became of one picture; where `error` is set, nothing but the input is known."""

    input: Path
    output: Path | None = None
    width: int | None = None  # pixels, upright
    height: int | None = None
    seconds: float = 0.0
    certainty: float | None = None  # mean over the picture, 0..1
    error: str | None = None
    colors_ignored: bool = False

    def written(self) -> tuple[Path | None, ...]:
        """The results that are told."""
        return (self.output,)

    def to_json(self) -> dict[str, Any]:
        """The picture's entry in `limner colorize --json`."""
        document = _plain(self)
        del document["colors_ignored"]
        return document


@dataclass(frozen=True)
class SegmentResult:
    """What became of one picture; where `error` is set, nothing but the input is known."""

    input: Path
    overlay: Path | None = None
    mask: Path | None = None
    width: int | None = None  # pixels, upright
    height: int | None = None
    seconds: float = 0.0
    classes: dict[str, float] | None = None  # name -> share of the pixels
    error: str | None = None

    def written(self) -> tuple[Path | None, ...]:
        """The results that are told."""
        return self.overlay, self.mask

    def to_json(self) -> dict[str, Any]:
        """The picture's entry in `limner segment --json`."""
        return _plain(self)


Result = TypeVar("Result", ColorResult, SegmentResult)
AnyJob = TypeVar("AnyJob", ColorJob, SegmentJob)


def _plain(result: ColorResult | SegmentResult) -> dict[str, Any]:
    """A result for JSON: paths as text."""
    return {
        key: str(value) if isinstance(value, Path) else value
        for key, value in asdict(result).items()
    }


def color(
    jobs: Sequence[ColorJob], painter: "Painter", *, quality: int = 95, overwrite: bool = False
) -> Iterator[ColorResult]:
    """Color the jobs in their order and yield each result as soon as its files are written.

    `quality` (1..100) is that of JPEG and WebP. What is wrong with one picture (a LimnerError) is
    its result's `error`; anything else, an interruption too, ends the run.
    """
    return _each(jobs, lambda job: _color(job, painter, quality, overwrite), ColorResult, overwrite)


def segment(
    jobs: Sequence[SegmentJob], segmenter: "Segmenter", *, overwrite: bool = False
) -> Iterator[SegmentResult]:
    """Segment the jobs, as `color` colors."""
    return _each(jobs, lambda job: _segment(job, segmenter, overwrite), SegmentResult, overwrite)


def _each(
    jobs: Sequence[AnyJob],
    make: Callable[[AnyJob], Result],
    kind: Callable[..., Result],
    overwrite: bool,
) -> Iterator[Result]:
    """Do the jobs one after the other; `kind` makes the result of one that failed."""
    make_folders(jobs)
    for job in jobs:
        start = time.perf_counter()
        try:
            _refuse_existing(job, overwrite)
            result = make(job)
        except LimnerError as error:
            result = kind(job.input, error=str(error))
        yield replace(result, seconds=round(time.perf_counter() - start, 3))


def _refuse_existing(job: Job, overwrite: bool) -> None:
    for target in job.targets():
        if not overwrite and os.path.lexists(target):
            raise PictureError(f"{target}: exists already; add --overwrite to replace it")


def _color(job: ColorJob, painter: "Painter", quality: int, overwrite: bool) -> ColorResult:
    painting = painter.colorize(job.input)
    painting.save(job.output, quality=quality, overwrite=overwrite)
    if job.certainty:
        _write(painting.certainty_picture(), job.certainty, overwrite)
    if job.compare:
        _write(painting.compare_picture(), job.compare, overwrite)
    return ColorResult(
        job.input,
        job.output,
        painting.width,
        painting.height,
        certainty=round(painting.certainty, 4),
        colors_ignored=painting.colors_ignored,
    )


def _segment(job: SegmentJob, segmenter: "Segmenter", overwrite: bool) -> SegmentResult:
    found = segmenter.segment(job.input)
    fresh = not os.path.lexists(job.mask)
    found.save_mask(job.mask, overwrite=overwrite)
    try:
        found.save_overlay(job.overlay, overwrite=overwrite)
    except BaseException:
        if fresh:  # alone it would pass for done, and the next try would ask for --overwrite
            job.mask.unlink()
        raise
    shares = {name: round(share, 4) for name, share in found.classes.items()}
    return SegmentResult(
        job.input, job.overlay, job.mask, found.width, found.height, classes=shares
    )


def _write(pixels: Pixels, path: Path, overwrite: bool) -> None:
    picture = from_array(pixels)
    write_strips(path, picture.width, picture.height, picture.strips(), overwrite=overwrite)
