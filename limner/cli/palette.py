"""`limner palette`: learn the colors that a model may say, and look at them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from limner.cli.options import Overwrite, whole
from limner.cli.terminal import need_extra
from limner.errors import PaletteError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from limner.palette import Palette

app = typer.Typer(rich_markup_mode=None, help="Learn a palette, or look at one.")
CLASSES = 24
SAMPLE = 1_000_000  # pixels that a palette is learned from
SIDE = 48  # pixels of a swatch in the picture
ROW = 12  # swatches side by side


@app.command()
def learn(
    data: Annotated[
        str,
        typer.Option(metavar="NAME|PATH", help="A set under LIMNER_DATA, or a folder of pictures."),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE.json", help="The palette's file to write."),
    ],
    k: Annotated[
        int | None,
        typer.Option("-k", parser=whole(1), metavar="K", help=f"Classes. [default: {CLASSES}]"),
    ] = None,
    space: Annotated[
        Literal["rgb", "ab"], typer.Option(help="RGB, or the ab plane of CIELAB.")
    ] = "ab",
    grid: Annotated[
        bool, typer.Option("--grid", help="The used cells of a grid over ab, not k-means.")
    ] = False,
    seed: Annotated[
        int, typer.Option(parser=whole(0), metavar="N", help="Of the pixels drawn and of k-means.")
    ] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Learn a palette from a million pixels of the training pictures, by k-means or as a grid.

    Prints the path of the file, plain JSON.

    \b
    Examples:
      limner palette learn --data cifar10:horse -k 24 --space rgb -o horse24.json
      limner palette learn --data photos --grid -o photo.json
      limner palette show horse24.json
    """
    if grid and (k is not None or space != "ab"):
        raise PaletteError("--grid: has its own classes, in ab; leave -k and --space rgb away")
    _check_output(output, overwrite)
    need_extra("palette learn", ["PIL"])
    from limner.color import rgb8_to_lab
    from limner.dataset import find
    from limner.learn.loading.data import sample_pixels
    from limner.palette import Palette

    pixels = sample_pixels(find(data, "train"), SAMPLE, seed)
    values = pixels if space == "rgb" else rgb8_to_lab(pixels)[:, 1:]
    learned = Palette.grid(values) if grid else Palette.learn(values, k or CLASSES, space, seed)
    learned.save(output)
    print(output)


@app.command()
def show(
    source: Annotated[
        str,
        typer.Argument(metavar="PALETTE|MODEL", help="The name or the file of one."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE.png", help="Write the swatches there."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Show a palette's classes: number, values, color (ab is shown at L* 60).

    \b
    Examples:
      limner palette show photo
      limner palette show horse24
      limner palette show mine.json -o swatches.png
    """
    palette = _load(source)
    if output is None:
        _print_swatches(palette)
        return
    from limner.picture import from_array, write_strips

    sheet = from_array(_sheet(palette))
    write_strips(output, sheet.width, sheet.height, sheet.strips(), overwrite=overwrite)
    print(output)


def _load(source: str) -> "Palette":
    from limner import weights
    from limner.palette import Palette

    if source.endswith(".json"):
        return Palette.load(source)
    if source not in weights.names() and not os.path.isfile(source):
        return weights.palette(source)
    from limner.card import Model

    return Model(weights.path(source)).card.palette


def _print_swatches(palette: "Palette") -> None:
    """One row a class, with a block of its color where stdout is a terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for number, (values, (red, green, blue)) in enumerate(
        zip(palette.colors, palette.swatches().tolist(), strict=True)
    ):
        code = f"#{red:02x}{green:02x}{blue:02x}"
        numbers = " ".join(f"{value:6.1f}" for value in values)
        block = Text("      ", style=f"on {code}") if console.is_terminal else Text("")
        console.print(Text(f"{number:3}  "), block, Text(f"  {palette.space} {numbers}  {code}"))


def _sheet(palette: "Palette") -> "NDArray[np.uint8]":
    """The swatches in rows of 12, class 0 first, on white: uint8 [H, W, 3]."""
    import numpy as np

    swatches = palette.swatches()
    rows = -(-len(swatches) // ROW)
    cells = np.full((rows * ROW, 3), 255, np.uint8)
    cells[: len(swatches)] = swatches
    sheet = cells.reshape(rows, ROW, 3)[:, : len(swatches)]
    return np.ascontiguousarray(sheet.repeat(SIDE, axis=0).repeat(SIDE, axis=1))


def _check_output(path: Path, overwrite: bool) -> None:
    """Raise PaletteError, before the long work, where the palette could not be written."""
    if not os.path.isdir(path.parent):
        raise PaletteError(f"{path}: the folder {path.parent} does not exist; make it first")
    if os.path.isdir(path):
        raise PaletteError(f"{path}: a folder stands there; give the name of a file")
    if os.path.lexists(path) and not overwrite:
        raise PaletteError(f"{path}: exists already; add --overwrite to replace it")
