"""A figure of matplotlib's as a file's bytes; the same figure makes the same bytes."""

import io

import matplotlib
from matplotlib.figure import Figure

DOTS = 150  # an inch, of a PNG


def render(figure: Figure, kind: str) -> bytes:
    """The figure as the bytes of a "png" or "svg" file, without a date or random names."""
    buffer = io.BytesIO()
    empty = {"Date": None} if kind == "svg" else {"Software": None}
    with matplotlib.rc_context({"svg.hashsalt": "limner", "svg.fonttype": "none"}):
        figure.savefig(buffer, format=kind, dpi=DOTS, metadata=empty)
    return buffer.getvalue()
