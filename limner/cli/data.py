"""`limner data`: what is wrong with a set's masks, file by file; a set with a model's own masks."""

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.options import Device, Json, real, whole
from limner.cli.terminal import Progress, print_json, print_table, say

SOME_WRONG = 1

Split = Annotated[
    str, typer.Option(metavar="NAME", help="Split of the set; a folder without is read whole.")
]

app = typer.Typer(rich_markup_mode=None, help="Look at sets of pictures with masks.")


@app.command()
def check(
    data: Annotated[
        str,
        typer.Argument(metavar="NAME|PATH", help="A set under LIMNER_DATA, or a folder."),
    ],
    split: Split = "train",
    json: Json = False,
) -> None:
    """Check every mask of a set, and count its classes.

    Names each mask that is missing, does not match its picture, holds classes that classes.txt does
    not name, or ignores all pixels, and each that has no picture. Exit code 1: there are some.

    \b
    A set is
      SPLIT/X.jpg with SPLIT/X.png beside it, or folders images/ and masks/,
      with classes.txt: a line `name` or `name red green blue` for each class;
      or a VOC development kit, as torchvision downloads it.
    A mask is a palette or grey PNG of class numbers, or an RGB PNG of the classes' colors; 255 (in
    RGB white) is ignored.

    \b
    Examples:
      limner data check voc
      limner data check pets --split val
      limner data check pets --json
    """
    from limner.masks.check import check as find

    with Progress("pictures") as progress:
        found = find(data, split, progress.update)
    total = max(1, int(found.pixels.sum()) + found.ignored)
    classes = {
        name: {"pictures": int(pictures), "pixels": int(pixels), "share": int(pixels) / total}
        for name, pictures, pixels in zip(
            found.labels.names, found.pictures, found.pixels, strict=True
        )
    }
    if json:
        print_json(
            {
                "data": data,
                "split": found.split,
                "pairs": found.pairs,
                "classes": classes,
                "ignored": found.ignored / total,
                "problems": found.problems,
            }
        )
    else:
        for problem in found.problems:
            print(problem)
        rows = [
            [name, str(told["pictures"]), f"{100 * told['share']:.2f} %"]
            for name, told in classes.items()
        ]
        rows.append(["(ignored)", "-", f"{100 * found.ignored / total:.2f} %"])
        print_table(["class", "pictures", "of pixels"], rows)
    wrong = len(found.problems)
    say(f"{data}, {found.split}: {found.pairs:,} sound pairs, {wrong:,} problems")
    if wrong:
        raise typer.Exit(SOME_WRONG)


@app.command()
def label(
    data: Annotated[
        str,
        typer.Argument(metavar="NAME|FOLDER", help="Photographs: a set under LIMNER_DATA, or any."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="SET", help="Folder of the new set.")
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="NAME|FILE",
            help="The model that makes the masks [default: voc]; several: their mean does.",
        ),
    ] = None,
    sure: Annotated[
        float,
        typer.Option(
            parser=real(0, 1),
            metavar="0..1",
            help="Where less sure than this, a mask says nothing; but the surer half of each class "
            "is said wherever it is likelier than not.",
        ),
    ] = 0.8,
    pictures: Annotated[
        int,
        typer.Option(
            parser=whole(0), metavar="N", help="At most so many, the classes in turn; 0: all."
        ),
    ] = 0,
    split: Split = "train",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Make masks for photographs that have none, as models see them, to learn from.

    Writes a set: images/, masks/ (255 where the models are not sure) and classes.txt. Pictures of
    which they are sure of less than half are left out. Training learns from such a set beside one
    whose masks were made by hand, and never validates on it.
    Exit code 1: some pictures could not be read, the rest are done.

    \b
    Examples:
      limner data label album -o album-masks --model pets.onnx
      limner data label photos -o more --model a.onnx --model b.onnx --pictures 2000
      limner train recipes/voc.toml -o runs/voc2 --data voc,more
    """
    from limner.dataset import find
    from limner.segment.label import label as write
    from limner.segment.segmenter import Segmenter

    models = model or ["voc"]
    segmenters = [Segmenter(one, device=device) for one in models]
    photos = find(data, split)
    with Progress("pictures") as progress:
        found = write(
            segmenters, photos, output, sure=sure, most=pictures, on_picture=progress.update
        )
    for problem in found.problems:
        say(problem)
    names = segmenters[0].model.card.palette.names
    asked = [round(number, 2) for number in found.sure.tolist()]
    rows = list(zip(names, found.showing.tolist(), asked, strict=True))
    if json:
        print_json(
            {
                "data": data,
                "models": models,
                "set": str(output),
                "pictures": found.pictures,
                "classes": {name: {"pictures": n, "sure": asked} for name, n, asked in rows},
                "problems": found.problems,
            }
        )
    else:
        cells = [[name, str(n), f"{asked:.2f}"] for name, n, asked in rows]
        print_table(["class", "pictures", "asked"], cells)
    by = ", ".join(models)
    say(f"{output}: {found.pictures:,} of {len(photos):,} pictures, with masks by {by}")
    if found.problems:
        raise typer.Exit(SOME_WRONG)
