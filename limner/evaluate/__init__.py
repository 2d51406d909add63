"""The scores of a model file on pictures whose truth is known, beside those of simple answers."""

from collections.abc import Callable
from typing import Any

from limner import weights
from limner.card import Model
from limner.evaluate.color import evaluate_color


def evaluate(
    model: str,
    data: str,
    split: str = "val",
    on_picture: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Score a model (name or file) at its task on a data set (NAME|PATH).

    Returns {"model", "task", "data", "split", "n", "protocol", "rows"} and what the task adds
    (`evaluate_color`, `evaluate_masks`). `on_picture(done, total)` is called after each picture.
    Raises ModelError, DataError, PictureError.
    """
    loaded = Model(weights.path(model))
    if loaded.card.task == "segment":
        from limner.evaluate.masks import evaluate_masks  # with Pillow, which colors never need

        return evaluate_masks(loaded, data, split, on_picture)
    return evaluate_color(loaded, data, split, on_picture)
