"""`limner account`: what a network costs, in numbers and in formulas."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from limner.cli.options import Json, Overwrite, whole
from limner.cli.terminal import need_extra
from limner.errors import AccountError

PACKAGES = ("torch", "sympy", "matplotlib")
Format = Literal["text", "markdown", "latex", "csv", "json"]


def account(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="cnn, unet, ..., a model's file, or package.module:callable."
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An argument of the network, or H or W."),
    ] = None,
    input: Annotated[
        list[str] | None,
        typer.Option(metavar="CxHxW", help="The input without its batch. [default: ours 1x32x32]"),
    ] = None,
    batch: Annotated[int, typer.Option(metavar="N", parser=whole(1), help="Inputs at once.")] = 1,
    learn: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Parts that learn; the others are frozen."),
    ] = None,
    optimizer: Annotated[
        Literal["adam", "momentum", "sgd"], typer.Option(help="Whose state training keeps.")
    ] = "adam",
    device: Annotated[
        str, typer.Option(metavar="DEVICE", help="Where to measure what autograd saves: cpu, cuda.")
    ] = "meta",
    symbolic: Annotated[
        bool, typer.Option("--symbolic", help="Formulas in k, NF, NC (those that are not --set).")
    ] = False,
    free: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Formulas in these: arguments, H, W, B (the batch)."),
    ] = None,
    as_written: Annotated[
        bool, typer.Option("--as-written", help="The write-up's Table 1: no biases; if doubled.")
    ] = False,
    doubled: Annotated[
        bool, typer.Option("--doubled", help="Beside a picture of twice the sides.")
    ] = False,
    compare: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Beside another network.")
    ] = None,
    solve: Annotated[
        str | None, typer.Option(metavar="NAME", help="The largest value of it within --limit.")
    ] = None,
    limit: Annotated[
        str | None, typer.Option(metavar="COST<=N", help='With --solve: "parameters<=1e6", say.')
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(metavar="N", parser=whole(1), help="Add up layers below this depth."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(metavar="N", parser=whole(1), help="Only those of the most connections."),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE.png|svg", help="Bars of the cost of each layer.")
    ] = None,
    shapes: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="The network's shapes and its skips.")
    ] = None,
    allow_unknown: Annotated[
        bool, typer.Option("--allow-unknown", help="List operators that no rule counts; go on.")
    ] = False,
    format: Annotated[Format, typer.Option(help="Of what is printed.")] = "text",
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Count what a network costs: parameters, connections (MACs), memory, training.

    In numbers, or as formulas in its own symbols. Nothing is allocated, nothing downloaded, and
    every count is proved against the network itself. A callable is looked for in the working
    folder too.

    \b
    Examples:
      limner account unet
      limner account unet --set NF=64 --input 1x128x128 --batch 100
      limner account cnn --symbolic --as-written
      limner account cnn --symbolic --free NIn,H,W,B --format latex
      limner account cnn --learn out
      limner account torchvision.models:resnet50 --input 3x224x224 --depth 1
      limner account torchvision.models:resnet50 --input 3x224x224 --top 10 --figure bars.svg
      limner account mine:Net --set width=8 --free width,H,W --input 3x64x64
      limner account unet --solve NF --limit "parameters<=1e6"
      limner account cnn --compare unet
      limner account unet --shapes unet.svg --json

    \b
    Costs that --limit takes:
      parameters trainable frozen buffers connections links element_ops training_forward
      input_gradient weight_gradient backward step saved optimizer_state peak_inference
      peak_training
    """
    need_extra("account", PACKAGES)
    asked = {
        "--solve": solve is not None,
        "--compare": compare is not None,
        "--doubled": doubled,
        "--as-written": as_written,
    }
    check_together(asked, solve, limit, depth or top, figure or shapes, symbolic or free)
    from limner.cli import accounts, target

    given = target.parse_settings(settings or [])
    sizes = [target.parse_shape(text) for text in input or []]
    question = accounts.Question(
        settings=given,
        learn=None if learn is None else "all" if learn == "all" else learn.split(","),
        optimizer=optimizer,
        device=device,
        symbolic=symbolic,
        free=tuple(name.strip() for name in free.split(",")) if free is not None else (),
        allow_unknown=allow_unknown,
        depth=depth,
        top=top,
        format="json" if json else format,
    )
    found = target.find(model, given, sizes, batch)
    files = accounts.Files(figure, shapes, overwrite)
    if solve is not None and limit is not None:
        accounts.solve(question, found, solve, limit)
    elif doubled:
        accounts.compare(question, found, found.doubled())
    elif compare is not None:
        accounts.compare(question, found, target.find(compare, given, sizes, batch))
    elif as_written:
        accounts.tabulate_as_written(question, found)
    else:
        accounts.tabulate(question, found, files)


def check_together(
    asked: dict[str, bool],
    solve: str | None,
    limit: str | None,
    layers: object,
    figures: object,
    formulas: object,
) -> None:
    """AccountError for options that do not go together."""
    wanted = [name for name, is_wanted in asked.items() if is_wanted]
    if len(wanted) > 1:
        raise AccountError(f"{' and '.join(wanted)}: ask one at a time")
    if (solve is None) != (limit is None):
        raise AccountError(
            '--solve and --limit go together; give --solve NF --limit "parameters<=1e6", say'
        )
    for option, is_given in {"--depth and --top": layers, "figures": figures}.items():
        if wanted and is_given:
            raise AccountError(f"{wanted[0]} has no {option}; ask for them without it")
    if solve is not None and formulas:
        raise AccountError("--solve counts numbers; leave out --symbolic and --free")
