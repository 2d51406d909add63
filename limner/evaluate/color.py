"""The scores of a model file on pictures whose colors are known, beside those of simple answers.

Every row of the table answers the same question, which chroma belongs to this light?, on the cells
of the model's own grid, and is painted as `limner colorize` paints.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from limner import scores
from limner.card import Model
from limner.color import colorfulness, de2000, rgb8_to_lab, rgb_to_lab
from limner.dataset import Dataset, find
from limner.errors import SplitError
from limner.lookup import SMOOTHING, Lookup
from limner.paint.cells import cell_means
from limner.paint.decode import class_ab, decode, undo_weights
from limner.paint.join import join, light_of
from limner.paint.painter import Painter, network_input
from limner.paint.upsample import Upsampler
from limner.paint.view import logits_of, view_size
from limner.picture import Pixels, from_array, read_rgb

Floats = NDArray[np.float32]
Item = TypeVar("Item")
Values = dict[str, dict[str, list[float]]]  # row -> column -> one value a picture

SHORT_SIDE = 256  # pixels
SEED = 0
RESAMPLES = 1000


def evaluate_color(
    model: Model,
    data: str,
    split: str,
    on_picture: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    """Score a model that colorizes on the pictures of a data set (NAME|PATH).

    Returns {"model", "task", "data", "split", "n", "protocol", "rows"}, where rows is
    {row: {column: {"value", "low", "high"}}}. A row has `loss` and `accuracy` only if it is a
    distribution over classes; `other` needs two pictures; `majority` and `lookup` an RGB palette
    and a `train` split. `on_picture(done, total)` is called after each picture of each pass:
    one for their mean color, one over the train split if it is counted, and one that scores.
    Raises ModelError, DataError, PictureError.
    """
    painter = Painter(model)
    card = painter.model.card
    chosen = find(data, split)
    n = len(chosen)
    train = _train_split(data) if card.palette.space == "rgb" else None
    total = 2 * n + (0 if train is None else len(train))
    done = count(1)

    def tell() -> None:
        if on_picture:
            on_picture(next(done), total)

    mean_ab = _mean_ab(_told(_pictures(chosen), tell))
    counted = None if train is None else _told(_pictures(train), tell)
    lookup = None if counted is None else _count(painter, counted)
    values: Values = {}
    scenes = (look(painter, pixels) for pixels in _pictures(chosen))
    for scene, following in _told(_with_next(scenes), tell):
        _score_picture(values, painter, scene, None if n == 1 else following, mean_ab, lookup)
    return {
        "model": card.name,
        "task": card.task,
        "data": data,
        "split": chosen.split,
        "n": n,
        "protocol": _protocol(painter, chosen, train),
        "rows": {
            row: {
                column: scores.bootstrap_interval(np.array(v), SEED, RESAMPLES)._asdict()
                for column, v in columns.items()
            }
            for row, columns in values.items()
        },
    }


@dataclass(frozen=True)
class Scene:
    """A picture, and what the cells of the network's view hold of it.

    pixels: uint8 [H, W, 3]. view: uint8 [H', W', 3], at the working size. Of each cell's mean
    color: classes [h, w], ab [h, w, 2] and grey [h, w], the mean of the channels, 0..255.
    """

    pixels: Pixels
    view: Pixels
    classes: NDArray[np.int64]
    ab: Floats
    grey: NDArray[np.int64]


def look(painter: Painter, pixels: Pixels) -> Scene:
    """Reduce a picture [H, W, 3] to the working size and to the cells of the model's stride.

    A cell's mean color is taken in the palette's space: in sRGB for RGB palettes, else in ab.
    """
    card = painter.model.card
    height, width = pixels.shape[:2]
    size = view_size(width, height, painter.size, card.multiple)
    view = pixels if size == (width, height) else from_array(pixels).reduced(*size)
    rgb = cell_means(view, card.stride)
    grey = np.rint(rgb.mean(axis=-1)).astype(np.int64)
    if card.palette.space == "rgb":
        ab = rgb_to_lab(rgb / 255)[..., 1:]
        return Scene(pixels, view, card.palette.classes(rgb), ab, grey)
    ab = cell_means(rgb8_to_lab(view)[..., 1:], card.stride)
    return Scene(pixels, view, card.palette.classes(ab), ab, grey)


def _count(painter: Painter, pictures: Iterable[Pixels]) -> Lookup:
    """The look-up of the pictures' cells."""
    scenes = (look(painter, pixels) for pixels in pictures)
    return Lookup.count(((s.grey, s.classes) for s in scenes), len(painter.model.card.palette))


def _score_picture(
    values: Values,
    painter: Painter,
    scene: Scene,
    following: Scene | None,
    mean_ab: Floats,
    lookup: Lookup | None,
) -> None:
    """Append the scores of every row on one picture; `following` lends its colors to `other`."""
    card = painter.model.card
    guide = light_of(scene.view)
    said = logits_of(painter.model, network_input(scene.view, guide, card)[None])
    logits = {"ours": undo_weights(said, card.class_weights)}
    ab_of = class_ab(card.palette)
    chroma = {
        "ours": decode(said, card.palette, card.class_weights, painter.temperature, card.chroma),
        "grey": np.zeros_like(scene.ab),
        "mean": np.broadcast_to(mean_ab, scene.ab.shape),
    }
    if following is not None:
        chroma["other"] = _resized(following.ab, *scene.classes.shape)
    chroma["best"] = ab_of[scene.classes]
    if lookup is not None:
        logits["majority"] = lookup.majority(scene.grey.shape)
        logits["lookup"] = lookup.logits(scene.grey)
        chroma["majority"] = np.broadcast_to(ab_of[lookup.prior.argmax()], scene.ab.shape)
        chroma["lookup"] = decode(logits["lookup"], card.palette)
    truth = rgb8_to_lab(scene.pixels)
    painted = _painted(scene, guide, card.stride, chroma)
    for row, picture in {**painted, "truth": scene.pixels}.items():
        columns = _score_pixels(picture, scene.pixels, truth)
        if row in logits:
            columns = {
                "loss": scores.cross_entropy(logits[row], scene.classes),
                "accuracy": scores.accuracy(logits[row], scene.classes),
                **columns,
            }
        for column, value in columns.items():
            values.setdefault(row, {}).setdefault(column, []).append(value)


def _painted(
    scene: Scene, light: Floats, stride: int, chroma: dict[str, Floats]
) -> dict[str, Pixels]:
    """The picture in every row's chroma [h, w, 2], as `limner colorize` joins them.

    light: of the view. The rows share one upsampling, whose weights come from the light alone.
    """
    full = light_of(scene.pixels)
    height, width = full.shape
    cells = np.concatenate(list(chroma.values()), axis=-1)
    if cells.shape[:2] == full.shape:  # every cell is a pixel
        planes = list(np.moveaxis(cells, -1, 0))
    else:
        guide = cell_means(light, stride)
        down, across = light.shape[0] / stride / height, light.shape[1] / stride / width
        planes = Upsampler(cells, guide, width, across, down).rows(0, full)
    pairs = zip(planes[::2], planes[1::2], strict=True)
    return {row: join(full, a, b) for row, (a, b) in zip(chroma, pairs, strict=True)}


def _score_pixels(picture: Pixels, truth: Pixels, truth_lab: Floats) -> dict[str, float]:
    lab = rgb8_to_lab(picture)
    error = scores.ab_error(lab[..., 1:], truth_lab[..., 1:])
    return {
        "auc": scores.auc(error),
        "ab_error": float(error.mean(dtype=np.float64)),
        "de2000": float(de2000(lab, truth_lab).mean(dtype=np.float64)),
        "psnr": scores.psnr(picture, truth),
        "colorfulness": colorfulness(picture),
        "light_error": scores.light_error(lab[..., 0], truth_lab[..., 0]),
    }


def _resized(ab: Floats, height: int, width: int) -> Floats:
    """Another picture's cells stretched over this one's: the nearest cell of each."""
    rows = np.arange(height) * len(ab) // height
    columns = np.arange(width) * ab.shape[1] // width
    return ab[rows][:, columns]


def _mean_ab(pictures: Iterable[Pixels]) -> Floats:
    """The mean chroma of all pixels of the pictures: [2]."""
    total, count = np.zeros(2), 0
    for pixels in pictures:
        ab = rgb8_to_lab(pixels)[..., 1:].reshape(-1, 2)
        total += ab.sum(axis=0, dtype=np.float64)
        count += len(ab)
    return (total / count).astype(np.float32)


def _pictures(dataset: Dataset) -> Iterator[Pixels]:
    if dataset.images is not None:
        yield from dataset.images
    for file in dataset.files:
        yield read_rgb(file, SHORT_SIDE)


def _told(items: Iterable[Item], tell: Callable[[], None]) -> Iterator[Item]:
    """The items; `tell` is called when the caller is done with each."""
    for item in items:
        yield item
        tell()


def _with_next(scenes: Iterator[Scene]) -> Iterator[tuple[Scene, Scene]]:
    """Each with the one after it, the last with the first."""
    first = current = next(scenes)
    for following in scenes:
        yield current, following
        current = following
    yield current, first


def _train_split(data: str) -> Dataset | None:
    try:
        train = find(data, "train")
    except SplitError:  # a set without that split: its rows are left out
        return None
    return train if train.split == "train" else None


def _protocol(painter: Painter, chosen: Dataset, train: Dataset | None) -> dict[str, Any]:
    card = painter.model.card
    protocol = {
        "model_sha256": painter.model.sha256,
        "data_hash": chosen.fingerprint(),
        "short_side": SHORT_SIDE,
        "working_size": painter.size,
        "stride": card.stride,
        "classes": len(card.palette),
        "space": card.palette.space,
        "temperature": painter.temperature,
        "chroma": card.chroma,
        "class_weights": "none" if card.class_weights is None else "undone",
        "seed": SEED,
        "resamples": RESAMPLES,
        "pictures": "at their own size, reduced to the short side, never enlarged",
        "values": "means over pixels, then over pictures; 95 % percentile bootstrap over pictures",
        "loss": "nats a cell at the stride, temperature 1, against the class of its mean color",
        "mean": "the mean ab of these very pictures' pixels",
        "other": "the cells of the next picture in order, stretched over this one",
        "best": "the class of each cell's mean color",
    }
    if train is not None:
        protocol["majority"] = "the most frequent class of the train split"
        protocol["lookup"] = "P(class | grey level) of the train split"
        protocol["counted"] = f"{len(train)} pictures, counts smoothed by {SMOOTHING}"
        protocol["counted_hash"] = train.fingerprint()
    return protocol
