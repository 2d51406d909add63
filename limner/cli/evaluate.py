"""`limner evaluate`: the scores of a model beside those of simple answers."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from limner.cli.options import Json
from limner.cli.terminal import Progress, print_json, print_table

DIGITS = {  # after the point; else 2
    "loss": 3, "accuracy": 3, "auc": 4, "light_error": 3, "pixel_accuracy": 3, "mean_iou": 3,
    "mean_iou_covered": 3, "iou": 3,
}  # fmt: skip


def evaluate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A name (`limner models`) or a model file.")
    ],
    data: Annotated[
        str,
        typer.Option(metavar="NAME|PATH", help="A set under LIMNER_DATA, or a folder of pictures."),
    ],
    split: Annotated[
        str, typer.Option(metavar="NAME", help="Split of the set; a folder without is read whole.")
    ] = "val",
    json: Json = False,
) -> None:
    """Score a model on pictures whose colors (or masks) are known, beside simple answers.

    Each value comes with half the width of its 95 % interval over the pictures.

    \b
    To colorize, rows, the colors that are joined with the light of the picture:
      ours      the model's
      grey      none
      mean      the mean color of these pictures everywhere
      other     the colors of the next picture in order
      best      the true class of every cell: what classes and stride allow
      truth     the picture's own
      majority  the most frequent class of the train split everywhere
      lookup    the colors of the train split at the same level of grey, no network
    majority and lookup are there for RGB palettes and sets with a train split.

    \b
    Columns (v: lower is better, ^: higher is better):
      loss         v  cross-entropy of the class of each cell, nats
      accuracy     ^  share of cells whose likeliest class is the true one, 0..1
      auc          ^  share of pixels with an ab error below 0..150, mean, 0..1
      ab_error     v  distance in the ab plane of CIELAB, mean over pixels
      de2000       v  CIEDE2000 color difference, mean over pixels
      psnr         ^  peak signal-to-noise ratio of sRGB, dB, at most 60
      colorfulness    of the result (Hasler, Suesstrunk 2003); compare with truth
      light_error  v  change of L*, mean over pixels: rounding to 8 bits
    loss and accuracy are those of rows that give every class a probability.

    \b
    To segment, rows: ours, and majority (the commonest class of the train split everywhere).
    Columns, all higher is better, from the sum of the pictures' confusion matrices:
      pixel_accuracy    share of pixels whose class was said
      mean_iou          intersection over union, mean over the classes that are there
      mean_iou_covered  the same over the classes in at least 30 pictures

    \b
    Examples:
      limner evaluate photo --data photos
      limner evaluate voc --data voc
      limner evaluate unet.onnx --data cifar10:horse
      limner evaluate photo --data album --json
    """
    from limner.evaluate import evaluate as score

    with Progress("pictures read") as progress:
        document = score(model, data, split, on_picture=progress.update)
    if json:
        print_json(document)
        return
    if document["task"] == "segment":
        _print_masks(document)
    else:
        _print_colors(document)
    print()
    for key in ("model", "data", "split", "n"):
        print(f"{key}: {document[key]}")
    for key, value in document["protocol"].items():
        print(f"{key}: {value}")


def _print_colors(document: Mapping[str, Any]) -> None:
    rows = document["rows"]
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    print_table(
        ["", *columns],
        [
            [name, *(_cell(column, row.get(column)) for column in columns)]
            for name, row in rows.items()
        ],
    )


def _print_masks(document: Mapping[str, Any]) -> None:
    rows = document["rows"]
    columns = ("pixel_accuracy", "mean_iou", "mean_iou_covered")
    print_table(
        ["", *columns],
        [[name, *(_cell(column, row[column]) for column in columns)] for name, row in rows.items()],
    )
    print()
    pictures = document["pictures"]
    ious = rows["ours"]["iou"]
    print_table(
        ["class", "pictures", "iou"],
        [[name, str(pictures[name]), _cell("iou", score)] for name, score in ious.items()],
    )
    if document["absent"]:
        print(f"without a true pixel, left out: {', '.join(document['absent'])}")


def _cell(column: str, score: Mapping[str, float] | None) -> str:
    """A value with half the width of its interval."""
    if score is None:
        return "-"
    digits = DIGITS.get(column, 2)
    half = (score["high"] - score["low"]) / 2
    return f"{score['value']:.{digits}f} ±{half:.{digits}f}"
