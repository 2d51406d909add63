"""`limner data check`: what is wrong with a set's masks, file by file."""

from typing import Annotated

import typer

from limner.cli.options import Json
from limner.cli.terminal import Progress, print_json, print_table, say

SOME_WRONG = 1

app = typer.Typer(rich_markup_mode=None, help="Look at sets of pictures with masks.")


@app.command()
def check(
    data: Annotated[
        str,
        typer.Argument(metavar="NAME|PATH", help="A set under LIMNER_DATA, or a folder."),
    ],
    split: Annotated[
        str, typer.Option(metavar="NAME", help="Split of the set; a folder without is read whole.")
    ] = "train",
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
