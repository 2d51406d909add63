"""`limner report`: the answers of studies on one HTML page."""

import os
from pathlib import Path
from typing import Annotated

import typer

from limner.cli.options import Overwrite
from limner.cli.terminal import need_extra
from limner.errors import StudyError


def report(
    studies: Annotated[
        list[str],
        typer.Argument(metavar="STUDY...", help="Folders of answered studies, or studies' names."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.html", help="The page to write.")
    ] = Path("report.html"),
    overwrite: Overwrite = False,
) -> None:
    """Make one HTML page of studies that were answered: verdicts, tables, figures, settings.

    The page holds all that it shows and needs no network. Prints its path.

    \b
    Examples:
      limner report skip-connections
      limner report studies/palette studies/category -o colors.html --overwrite
    """
    if os.path.lexists(output) and not overwrite:
        raise StudyError(f"{output}: exists; give --overwrite, or another name with -o")
    need_extra("report", ["torch"])
    from limner.files import write_atomically
    from limner.studies import catalog
    from limner.studies.report import page

    write_atomically(output, page([catalog.folder_of(study) for study in studies]).encode())
    print(output)
