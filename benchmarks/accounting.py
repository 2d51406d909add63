"""limner's accounting beside five other tools: reports, where they are wrong, and time.

The tables of docs/accounting.md. The cases are small enough to count by hand, and hold no biases,
norms or activations, so that every tool's convention gives the same figure; the hand counts stand
in `CASES` and `CNN_SAVED` as the arithmetic that they are. A report that differs from the
hand count is marked with its ratio to it.

    pip install torchinfo fvcore ptflops thop calflops transformers    # none is a dependency
    python benchmarks/accounting.py            # tools that are missing are skipped, and named

Times are medians of runs in one process on one thread, wall time and the process's CPU time.
"""

import contextlib
import gc
import importlib
import importlib.metadata
import io
import logging
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import get_model_builder

from limner.accounting.account import account
from limner.accounting.interpolate import Free
from limner.accounting.layer_formulas import symbolic_trace
from limner.accounting.meta import call_builder
from limner.networks.cnn import CNN
from limner.networks.freeze import freeze
from limner.networks.unet import UNet


@dataclass(frozen=True)
class Report:
    """What a tool says of a network; None: it says nothing of the kind.

    macs: of a forward pass; backward: MACs of a training step's backward pass; saved: bytes of
    activations that training keeps.
    """

    parameters: int
    macs: int
    backward: int | None = None
    saved: int | None = None


Tool = Callable[[nn.Module, Tensor], Report]


def limner(module: nn.Module, x: Tensor) -> Report:
    totals = account(module, input=tuple(x.shape[1:]), batch=x.shape[0]).totals
    return Report(totals.parameters, totals.connections, totals.backward, totals.saved)


def torchinfo(module: nn.Module, x: Tensor) -> Report:
    # total_output_bytes is what its summary prints as "Forward/backward pass size"
    report = importlib.import_module("torchinfo").summary(module, input_data=x, verbose=0)
    return Report(report.total_params, report.total_mult_adds, saved=report.total_output_bytes)


def fvcore(module: nn.Module, x: Tensor) -> Report:
    tool = importlib.import_module("fvcore.nn")
    parameters = tool.parameter_count(module)[""]
    return Report(parameters, int(tool.FlopCountAnalysis(module, x).total()))


def ptflops(module: nn.Module, x: Tensor) -> Report:
    # its default, the backend "pytorch"
    macs, parameters = importlib.import_module("ptflops").get_model_complexity_info(
        module, tuple(x.shape[1:]), as_strings=False, print_per_layer_stat=False
    )
    return Report(int(parameters), int(macs))


def thop(module: nn.Module, x: Tensor) -> Report:
    macs, parameters = importlib.import_module("thop").profile(module, (x,), verbose=False)
    return Report(int(parameters), int(macs))


def calflops(module: nn.Module, x: Tensor) -> Report:
    factor = 2.0  # its default: a backward pass is taken to cost twice the forward pass
    _, step, parameters = importlib.import_module("calflops").calculate_flops(
        module,
        args=[x],
        include_backPropagation=True,
        compute_bp_factor=factor,
        output_as_string=False,
        print_results=False,
    )
    forward = round(step / (1 + factor))
    return Report(int(parameters), forward, backward=int(step) - forward)


def installed() -> dict[str, Tool]:
    """The tools by name, limner first; those that are missing are named on stderr."""
    tools: dict[str, Tool] = {"limner": limner}
    others: dict[str, Tool] = {
        "torchinfo": torchinfo,
        "fvcore": fvcore,
        "ptflops": ptflops,
        "thop": thop,
        "calflops": calflops,
    }
    for name, tool in others.items():
        try:
            importlib.import_module(name)
        except ImportError as error:
            print(f"{name} is skipped ({error}); pip install {name}", file=sys.stderr)
        else:
            tools[name] = tool
    return tools


class Tied(nn.Module):
    """Two layers with one weight, assigned from one to the other."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 64, bias=False)
        self.second = nn.Linear(64, 64, bias=False)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x))
        return y


class Twice(nn.Module):
    """One layer, run twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 64, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(self.layer(x))
        return y


class Transposed(nn.Module):
    """A layer, and a function that uses its weight again, transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(64, 32, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.encode(x), self.encode.weight.t())


class SameMemory(nn.Module):
    """Two layers whose weights, one the other transposed, lie in the same memory."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(64, 32, bias=False)
        self.decode = nn.Linear(32, 64, bias=False)
        self.decode.weight = nn.Parameter(self.encode.weight.detach().t())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.decode(self.encode(x))
        return y


class Attention(nn.Module):
    """Queries, keys and values by one layer, then attention by torch's function."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(64, 3 * 64, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return F.scaled_dot_product_attention(q, k, v)


def grouped() -> nn.Module:
    return nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False))


def transposed_convolution() -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1, bias=False))


# name, network, input without batch, parameters and MACs by hand
CASES: list[tuple[str, Callable[[], nn.Module], tuple[int, ...], int, int]] = [
    ("weight tied by assignment", Tied, (64,), 64 * 64, 2 * 64 * 64),
    ("layer run twice", Twice, (64,), 64 * 64, 2 * 64 * 64),
    ("weight used again by a function", Transposed, (64,), 64 * 32, 2 * 64 * 32),
    ("two weights in one memory", SameMemory, (64,), 64 * 32, 2 * 64 * 32),
    # every one of 16 x 16 places of the input meets every weight once
    ("transposed convolution", transposed_convolution, (8, 16, 16), 8 * 4 * 4**2, 16**2 * 512),
    ("grouped convolution", grouped, (8, 16, 16), 8 * 3**2, 16**2 * 8 * 3**2),
    # the layer, then scores and sums over 10 tokens
    ("attention", Attention, (10, 64), 64 * 192, 10 * 64 * 192 + 2 * 10 * 10 * 64),
]

# What training the write-up's CNN keeps for its backward pass, bytes for one picture of 32 x 32:
# numbers take 4 bytes, indices 8. A convolution keeps its input, max pooling its input and
# the indices, a batch norm its input, mean and deviation, a ReLU (in place) its output, which is
# the next convolution's input and the same memory. Upsampling keeps nothing.
CNN_SAVED = (
    4 * 32**2  # the picture
    + 4 * 32 * 32**2 + (8 + 4) * 32 * 16**2 + 4 * 2 * 32 + 4 * 32 * 16**2  # b1
    + 4 * 64 * 16**2 + (8 + 4) * 64 * 8**2 + 4 * 2 * 64 + 4 * 64 * 8**2  # b2
    + 4 * 64 * 8**2 + 4 * 2 * 64 + 4 * 64 * 8**2  # b3
    + 4 * 32 * 16**2 + 4 * 2 * 32 + 4 * 32 * 16**2  # b4
    + 4 * 24 * 32**2 + 4 * 2 * 24 + 4 * 24 * 32**2  # b5; out keeps the output of b5
)  # fmt: skip
# Connections by layer: places x inputs x outputs x kernel.
CNN_FORWARD = 9 * (
    32**2 * 32 + 16**2 * 32 * 64 + 8**2 * (64 * 64 + 64 * 32) + 16**2 * 32 * 24 + 32**2 * 24 * 24
)
CNN_FIRST, CNN_LAST = 9 * 32**2 * 32, 9 * 32**2 * 24 * 24

# what learns; backward connections and saved bytes by hand
TRAINING: list[tuple[str, str | list[str], int, int]] = [
    ("all", "all", 2 * CNN_FORWARD - CNN_FIRST, CNN_SAVED),
    ("the last layer", ["out"], CNN_LAST, 4 * 24 * 32**2),  # its weight gradient; its input
]

# network, side of the picture, runs
TIMED = [("resnet50", 224, 7), ("deeplabv3_resnet101", 520, 3)]
FORMULAS = 7  # runs after the first


def ask(tool: Tool, module: nn.Module, x: Tensor) -> Report:
    """A tool's report, without what it prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        return tool(module, x)


def mark(value: int | None, hand: int) -> str:
    """A reported figure beside the hand count."""
    if value is None:
        return "not reported"
    return f"{value:,}" if value == hand else f"{value:,} ({value / hand:.2f} x)"


def print_table(head: list[str], rows: list[list[str]]) -> None:
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)
    print()


def compare_counts(tools: dict[str, Tool]) -> None:
    """Parameters and MACs of the cases."""
    rows = []
    for name, build, shape, parameters, macs in CASES:
        reports = [ask(tool, build().eval(), torch.zeros(1, *shape)) for tool in tools.values()]
        told = [mark(report.parameters, parameters) for report in reports]
        rows.append([name, "parameters", f"{parameters:,}", *told])
        told = [mark(report.macs, macs) for report in reports]
        rows.append(["", "MACs", f"{macs:,}", *told])
    print_table(["case", "count", "by hand", *tools], rows)


def compare_training(tools: dict[str, Tool]) -> None:
    """What training the write-up's CNN costs, wholly and its last layer alone."""
    rows = []
    for name, learn, backward, saved in TRAINING:
        reports = []
        for tool in tools.values():
            module = CNN()
            freeze(module, learn)
            reports.append(ask(tool, module.train(), torch.zeros(1, 1, 32, 32)))
        told = [mark(report.backward, backward) for report in reports]
        rows.append([name, "backward, MACs", f"{backward:,}", *told])
        told = [mark(report.saved, saved) for report in reports]
        rows.append(["", "activations, bytes", f"{saved:,}", *told])
    print_table(["what learns", "count", "by hand", *tools], rows)


def compare_times(tools: dict[str, Tool]) -> None:
    """Time from a live network to the report."""
    rows = []
    for network, side, runs in TIMED:
        x = torch.zeros(1, 3, side, side)
        medians: dict[str, tuple[float, float]] = {}
        reports: dict[str, Report] = {}
        for name, tool in tools.items():
            times = []
            for _ in range(runs):
                module = call_builder(get_model_builder(network), {}).eval()  # without weights
                gc.collect()
                wall, cpu = time.perf_counter(), time.process_time()
                reports[name] = ask(tool, module, x)
                times.append((time.perf_counter() - wall, time.process_time() - cpu))
            walls, cpus = zip(*times, strict=True)
            medians[name] = statistics.median(walls), statistics.median(cpus)
            print(f"{network} {name}", file=sys.stderr)
        for name, (wall, cpu) in medians.items():
            ratios = f"{cpu / medians['limner'][1]:.2f} | {wall / medians['limner'][0]:.2f}"
            rows.append(
                [network, name, f"{reports[name].macs:,}", f"{cpu:.2f}", f"{wall:.2f}", ratios]
            )
    head = ["network", "tool", "MACs reported", "CPU time, s", "wall time, s"]
    print_table([*head, "CPU time over limner's", "wall time over limner's"], rows)


def time_formulas() -> None:
    """Time of formulas: the first in this process, which loads what torch needs, then others."""
    small = [Free("k", 3, 2), Free("NF", 32), Free("NC", 24)]
    sides = [Free("NIn", 1), Free("H", 32, 4), Free("W", 32, 4), Free("B", 2)]
    rows = []
    for build, free, shape, batch in (
        (CNN, small, (1, 32, 32), 1),
        (UNet, [*small, *sides], ("NIn", "H", "W"), "B"),
    ):
        times = []
        for _ in range(1 + FORMULAS):
            begin = time.perf_counter()
            symbolic_trace(build, free, input=shape, batch=batch)
            times.append(time.perf_counter() - begin)
        later = times[1:]
        spread = f"{min(later):.2f} to {max(later):.2f}"
        median = statistics.median(later)
        symbols = str(len(free))
        cells = [f"{times[0]:.2f}", f"{median:.2f}", spread]
        rows.append([build.__name__, symbols, *cells])
    print_table(
        ["formulas of", "symbols", "first, s", f"median of {FORMULAS}, s", "range, s"], rows
    )


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # the tools' own
    logging.disable(logging.WARNING)
    tools = installed()
    for name in ["torch", *tools]:
        if name != "limner":
            print(f"{name} {importlib.metadata.version(name)}")
    print()
    compare_counts(tools)
    compare_training(tools)
    compare_times(tools)
    time_formulas()


if __name__ == "__main__":
    main()
