"""`limner evaluate`: the scores of a model beside those of simple answers."""

from collections.abc import Mapping
from typing import Annotated

import typer

from limner.cli.options import Json
from limner.cli.terminal import Progress, print_json, print_table

DIGITS = {"loss": 3, "accuracy": 3, "auc": 4, "light_error": 3}  # after the point; else 2


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
    """Score a model on pictures whose colors are known.

    Its row `ours` stands beside grey, the mean color, another picture's colors, the best that its
    classes and stride allow, and the truth; each value with its 95 % interval over the pictures.

    \b
    Examples:
      limner evaluate photo --data photos
      limner evaluate unet.onnx --data cifar10:horse
      limner evaluate photo --data album --json
    """
    from limner.evaluate import evaluate as score

    with Progress("pictures") as progress:
        document = score(model, data, split, on_picture=progress.update)
    if json:
        print_json(document)
        return
    rows = document["rows"]
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    print_table(
        ["", *columns],
        [
            [name, *(_cell(column, row.get(column)) for column in columns)]
            for name, row in rows.items()
        ],
    )
    print()
    for key in ("model", "data", "split", "n"):
        print(f"{key}: {document[key]}")
    for key, value in document["protocol"].items():
        print(f"{key}: {value}")


def _cell(column: str, score: Mapping[str, float] | None) -> str:
    """A value with half the width of its interval."""
    if score is None:
        return "-"
    digits = DIGITS.get(column, 2)
    half = (score["high"] - score["low"]) / 2
    return f"{score['value']:.{digits}f} ±{half:.{digits}f}"
