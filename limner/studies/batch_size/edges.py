"""B4: is a smaller batch finer at edges?"""

from collections.abc import Mapping, Sequence

from limner.scores import Interval
from limner.studies import answers
from limner.studies.batch_size.gap import SIZES, Sizes, gap
from limner.studies.class_colors import brightness_error
from limner.studies.record import Record, unpack
from limner.studies.scoring import Truth
from limner.studies.seeds import difference, over_seeds, told
from limner.studies.study import Table
from limner.studies.verdicts import seeds, sign, weighed

SMALL = SIZES[0]


def told_of_edges(kinds: Mapping[str, Sizes], truth: Truth) -> list[str]:
    """Whether smaller batches are finer at edges than their gain everywhere makes them."""
    lines = []
    for kind in ("equal epochs", "equal updates"):
        sizes = kinds[kind]
        parts = {
            "ab error": (gap(sizes, SMALL, "ab_error_edges"), gap(sizes, SMALL, "ab_error")),
            "brightness error": (
                bright_gap(sizes, truth, edges=True), bright_gap(sizes, truth, edges=False)
            ),
        }  # fmt: skip
        told_parts = []
        for name, (edges, everywhere) in parts.items():
            more = difference(edges, everywhere)
            told_parts.append(
                f"{name} {weighed(over_seeds(edges), digits=2)} at edges, "
                f"{weighed(over_seeds(everywhere), digits=2)} everywhere ({_finer(edges, more)})"
            )
        count = min(len(runs) for runs in sizes.values())
        lines.append(
            f"B4: finer at edges, UNet, batch {SIZES[-1]} less batch {SMALL} at {kind} "
            f"({seeds(count)}): {'; '.join(told_parts)}."
        )
    return lines


def _finer(edges: Sequence[float], more: Interval) -> str:
    """What the gap at edges and its excess over the gap everywhere say of the smaller batch."""
    if sign(more) == "one":
        return "no finding"
    if sign(over_seeds(edges)) != "above":
        return "that the smaller batch is finer at edges is not supported"
    if sign(more) == "above":
        return "the smaller batch is finer, at edges above all"
    return "the smaller batch is finer, at edges no more than everywhere that could be told"


def brightness(runs: Sequence[Record], truth: Truth, edges: bool) -> list[float]:
    """How far the classes are from the pixels' own brightness, on the kept pictures."""
    return [brightness_error(unpack(run["pictures"]), truth, edges) for run in runs]


def bright_gap(sizes: Sizes, truth: Truth, edges: bool) -> list[float]:
    """The largest batch's brightness error less the smallest's, one a seed."""
    large, small = (brightness(sizes[size], truth, edges) for size in (SIZES[-1], SMALL))
    return [a - b for a, b in zip(large, small, strict=False)]


def edge_table(kinds: Mapping[str, Sizes], truth: Truth) -> Table:
    """Errors at edges and everywhere by batch size."""
    rows: list[tuple[object, ...]] = []
    for kind, sizes in kinds.items():
        for size, runs in sizes.items():
            columns = [answers.values(runs, column) for column in ("ab_error_edges", "ab_error")]
            columns += [brightness(runs, truth, edges) for edges in (True, False)]
            cells = [told(over_seeds(values), 2) for values in columns]
            rows.append((f"{size}, {kind}", len(runs), *cells))
    header = (
        "batch", "seeds", "ab error at edges", "ab error", "brightness error at edges",
        "brightness error",
    )  # fmt: skip
    note = (
        "UNet. At edges: within one pixel of color edges. Brightness error: mean distance in "
        "levels of 255 between a pixel's grey and the channel mean of its class, on the pictures "
        "that the records keep."
    )
    return Table("Finer at edges?", header, rows, note)
