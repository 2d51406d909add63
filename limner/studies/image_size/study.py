"""A3: what does a picture of twice the side cost? Counted, and measured beside the counts.

No run is needed: the counts are the account's, and a few training steps are timed, each network
and input in fresh processes of one thread, one after the other.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from limner.accounting.account import account
from limner.dataset import find
from limner.errors import DataError
from limner.learn.loading import augment
from limner.learn.loading.data import decode
from limner.learn.run import build
from limner.recipe import Recipe
from limner.scores import Interval
from limner.studies import figures
from limner.studies.record import palette_of
from limner.studies.study import Answer, Arms, Records, Setting, Study, Table, pixels
from limner.studies.timing import BUSY, PROCESSES, Measured, beside, check_idle, measured

NETWORKS = ("unet", "cnn")
SIDES = (32, 64)
PHOTOGRAPHS = "photos"  # the set that real pictures of both sides come from
QUICK_STEPS, STEPS = 5, 15
MEGA = 1e6

Pictures = dict[tuple[str, int], NDArray[np.uint8]]  # by kind and side: [batch, side, side, 3]


@dataclass(frozen=True)
class Count:
    """What the account says of a network at one side. connections and links: of one picture, with
    and without those to the padding. output: channels, height, width. saved and peak: bytes of a
    training step on a batch, what autograd keeps and what lives at once."""

    parameters: int
    connections: int
    links: int
    output: tuple[int, ...]
    saved: int
    peak: int


Counts = Mapping[tuple[str, int], Count]  # by network and side
Measures = Mapping[tuple[str, str, int], Measured]  # by network, kind of picture and side


def plan(setting: Setting) -> Arms:
    """No runs: nothing is trained to the end."""
    return {}


def answer(setting: Setting, records: Records) -> Answer:
    busy = check_idle(setting.folder)
    given = pictures(setting)
    recipes = {name: replace(setting.base, name=name, network=name) for name in NETWORKS}
    counts = {
        (name, side): count(recipe, side) for name, recipe in recipes.items() for side in SIDES
    }
    steps = QUICK_STEPS if setting.quick else STEPS
    measures = {
        (name, kind, side): measured(recipe, rgb, steps)
        for name, recipe in recipes.items()
        for (kind, side), rgb in given.items()
    }
    # The last process is in the average, too.
    return concluded(counts, measures, max(busy, beside() - 1), setting.base.batch)


def pictures(setting: Setting) -> Pictures:
    """A batch of pictures of each kind and side; without the photographs if they are not there."""
    small = pixels(find(setting.data, "train"))[: setting.base.batch]
    box = (0.0, 0.0, 32.0, 32.0)
    given = {
        ("CIFAR-10", 32): small,
        ("CIFAR-10, upsampled", 64): np.stack([augment.resize(one, box, 64) for one in small]),
    }
    try:
        files = find(PHOTOGRAPHS, "val").files[: setting.base.batch]
    except DataError:
        return given
    photographs = [decode(path) for path in files]
    for side in SIDES:
        squares = [augment.middle(photograph, side) for photograph in photographs]
        given["photographs", side] = np.stack(squares)
    return given


def count(recipe: Recipe, side: int) -> Count:
    """The account of the recipe's network on pictures of that side."""
    palette = palette_of(recipe)
    network = build(recipe, palette, pretrained=False)
    found = account(network, input=(1, side, side), batch=recipe.batch)
    last = next(row for row in found.rows if row.layer == network.last_layer)
    totals = found.totals
    return Count(
        parameters=totals.parameters,
        connections=totals.connections // recipe.batch,
        links=totals.links // recipe.batch,
        output=last.output[1:],
        saved=totals.saved,
        peak=totals.peak_training,
    )


# ---- what it says


def concluded(counts: Counts, measures: Measures, busy: float, batch: int) -> Answer:
    """The answer that the counts and the measures support."""
    verdict = [counted(counts, name) for name in NETWORKS]
    alone = busy <= BUSY
    verdict += [timed(counts, measures, name, batch, alone) for name in NETWORKS]
    verdict += [compared(measures, name, alone) for name in NETWORKS if has_photographs(measures)]
    if not has_photographs(measures):
        verdict.append(f"A3: the set `{PHOTOGRAPHS}` is not at hand: upsampled pictures alone.")
    if not alone:
        verdict.append(
            f"A3: {busy:.1f} other processes ran when the timing began or ended: it did not run "
            "alone; call the study again on an idle machine."
        )
    return Answer(
        verdict,
        tables={
            "counts": count_table(counts, batch),
            "measured": measure_table(counts, measures, busy, batch),
        },
        figures={"ratios": ratio_figure(counts, measures)},
        facts={
            "counts": {f"{name}, {side}": asdict(one) for (name, side), one in counts.items()},
            "measured": {
                f"{name}, {kind}, {side}": asdict(one)
                for (name, kind, side), one in measures.items()
            },
            "load": busy,
        },
    )


def has_photographs(measures: Measures) -> bool:
    return any(kind == "photographs" for _, kind, _ in measures)


def growth(measures: Measures, name: str) -> tuple[Interval, Interval | None]:
    """How a step's seconds and its memory grow from 32 px to 64 px, on CIFAR-10's pictures; the
    bounds are those of the least and the most of either side's processes."""
    small = measures[name, "CIFAR-10", 32]
    large = measures[name, "CIFAR-10, upsampled", 64]
    memory = None
    if small.memory and large.memory:
        memory = over(large.memory, small.memory)
    return over(large.step, small.step), memory


def over(large: Interval, small: Interval) -> Interval:
    """The ratio, at the least and at the most that its parts allow."""
    return Interval(large.value / small.value, large.low / small.high, large.high / small.low)


def counted(counts: Counts, name: str) -> str:
    """The write-up's answer beside the counts."""
    small, large = (counts[name, side] for side in SIDES)
    same = "unchanged" if small.parameters == large.parameters else "CHANGED"
    sides = [b / a for a, b in zip(small.output[1:], large.output[1:], strict=True)]
    links = large.links / small.links
    return (
        f"A3 ({name}): at twice the side, parameters are {same} ({small.parameters:,} and "
        f"{large.parameters:,}), the output's sides grow {sides[0]:g} and {sides[1]:g} times, the "
        f"connections {large.connections / small.connections:g} times with those to the padding "
        f"(as written), the real ones {links:.3f} times."
    )


def timed(counts: Counts, measures: Measures, name: str, batch: int, alone: bool) -> str:
    """The measured step beside the counts."""
    small, large = (counts[name, side] for side in SIDES)
    expected = large.connections / small.connections
    seconds, memory = growth(measures, name)
    if not alone:
        found = "on a busy machine, no finding beside the growth that the connections say"
    elif seconds.low <= expected <= seconds.high:
        found = "as the connections say"
    else:
        found = f"{'more' if seconds.value > expected else 'less'} than the connections say"
    line = (
        f"A3 ({name}): a training step on {batch} pictures takes "
        f"{told_ms(measures[name, 'CIFAR-10', 32])} ms at 32 px and "
        f"{told_ms(measures[name, 'CIFAR-10, upsampled', 64])} ms at 64 px, {seconds.value:.2f} "
        f"times as long ({seconds.low:.2f} to {seconds.high:.2f}, {PROCESSES} processes each): "
        f"{found} ({expected:g})"
    )
    if memory is None:
        return f"{line}; the system does not tell its memory."
    return (
        f"{line}; it takes {memory.value:.2f} times the memory ({memory.low:.2f} to "
        f"{memory.high:.2f}), where what autograd saves grows "
        f"{large.saved / small.saved:.2f} times."
    )


def compared(measures: Measures, name: str, alone: bool) -> str:
    """Whether a step's time depends on what the pictures show."""
    upsampled = measures[name, "CIFAR-10, upsampled", 64].step
    real = measures[name, "photographs", 64].step
    if not alone:
        found = "on a busy machine, no finding"
    elif real.low > upsampled.high or upsampled.low > real.high:
        found = f"{real.value / upsampled.value:.2f} times as long"
    else:
        found = "no difference that can be told"
    return (
        f"A3 ({name}): at 64 px a step takes {1e3 * upsampled.value:.0f} ms on upsampled pictures "
        f"and {1e3 * real.value:.0f} ms on photographs: {found}."
    )


def told_ms(measured: Measured) -> str:
    """The median step in ms."""
    return f"{1e3 * measured.step.value:.0f}"


def count_table(counts: Counts, batch: int) -> Table:
    """Parameters, connections and output of each network at each side."""
    rows = [
        (
            name, side, one.parameters, one.connections, one.links,
            " x ".join(map(str, one.output)), one.saved,
        )
        for (name, side), one in counts.items()
    ]  # fmt: skip
    header = (
        "network", "side, px", "parameters", "connections, MACs", "real links, MACs",
        "output (channels x height x width)", f"saved for the backward pass, bytes ({batch})",
    )  # fmt: skip
    note = "Connections count the padding, as the write-up does; real links leave it out."
    return Table("Counted", header, rows, note)


def measure_table(counts: Counts, measures: Measures, busy: float, batch: int) -> Table:
    """Seconds and memory of a training step, beside its connections and its counted memory."""
    rows = []
    for (name, kind, side), one in measures.items():
        step = one.step
        macs = 3 * batch * counts[name, side].connections
        memory = one.memory
        grown = "-" if memory is None else f"{memory.value / MEGA:.0f}"
        rows.append(
            (
                name, kind, side, f"{1e3 * step.value:.1f}",
                f"{1e3 * step.low:.1f} to {1e3 * step.high:.1f}", len(one.medians),
                f"{macs / step.value / 1e9:.1f}", grown, f"{counts[name, side].peak / MEGA:.0f}",
            )
        )  # fmt: skip
    header = (
        "network", "pictures", "side, px", "step, ms", "least and most", "processes",
        "GMAC/s", "memory grown, MB", "counted peak, MB",
    )  # fmt: skip
    note = (
        f"Training steps on {batch} pictures, float32, one thread: the median of each process, and "
        "of these the median. Memory: how far a process grew over its steps, with all that "
        "training keeps. GMAC/s takes a step for three forward passes. Processes beside: "
        f"{busy:.2f}."
    )
    return Table("Measured", header, rows, note)


def ratio_figure(counts: Counts, measures: Measures) -> Figure:
    """What grows how many times when the side doubles."""
    bars = {}
    for name in NETWORKS:
        small, large = (counts[name, side] for side in SIDES)
        seconds, memory = growth(measures, name)
        exact = {
            "parameters": large.parameters / small.parameters,
            "connections": large.connections / small.connections,
            "real links": large.links / small.links,
            "saved bytes": large.saved / small.saved,
        }
        for what, ratio in exact.items():
            bars[f"{name}: {what}"] = Interval(ratio, ratio, ratio)
        if memory is not None:
            bars[f"{name}: memory, measured"] = memory
        bars[f"{name}: seconds, measured"] = seconds
    return figures.bars(bars, "64 px over 32 px", {"4 times": 4.0})


STUDY = Study(
    name="image-size",
    title="What a picture of twice the side costs",
    questions=("A3",),
    plan=plan,
    answer=answer,
    minutes=(2, 6),
)
