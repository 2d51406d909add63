"""`limner account`: what it names, what it prints, and every call that is refused in one line."""

import csv
import io
import json
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sympy

NETWORKS = '''
"""Networks of a user."""
import torch
from torch import nn

print("this file talks")


class Net(nn.Module):
    def __init__(self, width, depth=2):
        super().__init__()
        sizes = [3, *[width] * depth]
        self.layers = nn.Sequential(
            *(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(sizes, sizes[1:]))
        )

    def forward(self, x):
        print("this network talks")
        return self.layers(x)


class Peeks(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Real(nn.Module):
    def forward(self, x):
        return x + torch.zeros(3, device="cpu")


class Rare(nn.Module):
    def forward(self, x):
        return torch.linalg.svd(x)[0]


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


live = nn.Linear(3, 2)
five = 5


def number():
    return 5
'''
NAME = "networks_of_a_user"


@pytest.fixture
def account(
    limner: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Any]]:
    """Run `limner account ...` in a folder with the user's file, whose name MINE stands for."""
    (tmp_path / f"{NAME}.py").write_text(NETWORKS)
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "some.onnx").write_text("no model")
    (tmp_path / "taken.png").write_text("mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield lambda line: limner("account", *shlex.split(line.replace("MINE", NAME)))
    sys.modules.pop(NAME, None)


def document(outcome: Any) -> dict[str, Any]:
    assert outcome.code == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


@pytest.mark.parametrize(
    ("line", "parameters", "connections", "links"),
    [
        ("cnn", 86_784, 15_630_336, 14_304_640),
        ("unet", 112_344, 18_800_640, 17_133_024),
        ("cnn --batch 3", 86_784, 3 * 15_630_336, 3 * 14_304_640),
        ("cnn --set H=64 --set W=64", 86_784, 4 * 15_630_336, 59_831_680),
        ("cnn --input 1x64x64", 86_784, 4 * 15_630_336, 59_831_680),
        ("cnn --input 3x32x32", 86_784 + 576, 15_630_336 + 589_824, 14_304_640 + 565_504),
    ],
)
def test_networks_of_ours(
    account: Callable[[str], Any], line: str, parameters: int, connections: int, links: int
) -> None:
    totals = document(account(f"{line} --json"))["totals"]
    assert (totals["parameters"], totals["connections"], totals["links"]) == (
        parameters, connections, links,
    )  # fmt: skip


def test_a_table_for_people(account: Callable[[str], Any]) -> None:
    outcome = account("cnn")
    assert (outcome.code, outcome.err) == (0, "")
    assert "15,630,336" in outcome.out and "14,304,640" in outcome.out
    assert "198.1 % of forward" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 120
    assert len(outcome.out.splitlines()) > 21 + 16


def test_csv_has_plain_numbers_and_nothing_else_on_stdout(account: Callable[[str], Any]) -> None:
    outcome = account("cnn --depth 1 --free k --format csv")
    header, *rows = csv.reader(io.StringIO(outcome.out))
    assert "connections (MACs)" in header and len(rows) == 6
    assert {len(row) for row in rows} == {len(header)}
    assert "note: holds where k is odd" in outcome.err
    *_, total = csv.reader(io.StringIO(account("cnn --format csv").out))
    assert total[0] == "total" and total[header.index("connections (MACs)")] == "15630336"


@pytest.mark.parametrize("kind", ["markdown", "latex"])
def test_the_other_formats(account: Callable[[str], Any], kind: str) -> None:
    outcome = account(f"cnn --top 3 --format {kind}")
    assert outcome.code == 0 and "out" in outcome.out and "connections (MACs)" in outcome.out


def test_a_freeze_mask_and_the_optimizer(account: Callable[[str], Any]) -> None:
    found = document(account("cnn --learn out --optimizer momentum --json"))
    totals = found["totals"]
    assert (totals["trainable"], totals["frozen"]) == (5208, 81_576)
    assert totals["backward"] == 32 * 32 * 24 * 24 * 9
    assert totals["optimizer_state"] == 4 * 5208
    assert document(account("cnn --learn b5,out --json"))["totals"]["trainable"] == 5208 + 6984


def test_what_autograd_saves_on_a_device(account: Callable[[str], Any]) -> None:
    meta = document(account("cnn --set NF=4 --input 1x8x8 --json"))
    cpu = document(account("cnn --set NF=4 --input 1x8x8 --device cpu --json"))
    assert cpu["device"] == "cpu" and cpu["totals"]["saved"] == meta["totals"]["saved"]


def test_formulas_that_sympy_reads(account: Callable[[str], Any]) -> None:
    found = document(account("cnn --free k,H --json"))
    assert found["input"] == [1, 1, "H", 32]
    symbols = {name: sympy.Symbol(name) for name in ("k", "H")}
    connections = sympy.sympify(found["totals"]["connections"], locals=symbols)
    k, H = symbols.values()
    written = k**2 * (1024 * 24**2 + 256 * 24 * 32 + 896 * 32**2 + 1024 * 32)
    assert sympy.expand(connections - written * H / 32) == 0
    assert any("k is odd, 4 divides H" in note for note in found["notes"])


def test_set_keeps_a_symbol_at_a_number(account: Callable[[str], Any]) -> None:
    found = document(account("cnn --symbolic --set k=3 --set NC=24 --json"))
    connections = sympy.sympify(found["totals"]["connections"])
    assert {str(symbol) for symbol in connections.free_symbols} == {"NF"}


def test_the_write_ups_table(account: Callable[[str], Any]) -> None:
    found = document(account("cnn --symbolic --as-written --json"))
    k, NF, NC = (sympy.Symbol(name) for name in ("k", "NF", "NC"))
    names = {"k": k, "NF": NF, "NC": NC}
    totals = {name: sympy.sympify(value, locals=names) for name, value in found["totals"].items()}
    weights = k**2 * (NC**2 + NC * NF + 8 * NF**2 + NF) + 2 * NC + 12 * NF
    assert sympy.expand(totals["parameters"] - weights) == 0
    connections = k**2 * (1024 * NC**2 + 256 * NC * NF + 896 * NF**2 + 1024 * NF)
    assert sympy.expand(totals["connections"] - connections) == 0
    assert totals["connections_growth"] == 4
    values = {k: 3, NF: 32, NC: 24}
    assert totals["links"].subs(values) == 14_304_640
    assert totals["links_growth"].subs(values) == sympy.Rational(59_831_680, 14_304_640)
    assert found["input"] == [1, 1, 32, 32] and len(found["rows"]) == 11


def test_the_write_ups_table_in_numbers(account: Callable[[str], Any]) -> None:
    outcome = account("unet --as-written")
    assert "18,800,640" in outcome.out and "17,133,024" in outcome.out
    assert 'the write-up says "weight and height"' in outcome.out


def test_a_doubled_picture(account: Callable[[str], Any]) -> None:
    ratios = document(account("cnn --doubled --json"))["ratios"]
    assert ratios["parameters"] == 1 and ratios["connections"] == 4 and ratios["links"] > 4
    assert "1x64x64" in account("cnn --doubled").out


def test_two_networks_beside_each_other(account: Callable[[str], Any]) -> None:
    found = document(account("cnn --compare unet --json"))
    assert [part["model"] for part in found["models"]] == ["cnn", "unet"]
    assert found["models"][1]["totals"]["parameters"] == 112_344
    assert "112,344" in account("cnn --compare unet").out


def test_the_largest_network_within_a_limit(account: Callable[[str], Any]) -> None:
    outcome = account('unet --input 1x4x4 --solve NF --limit "parameters<=2e5"')
    assert outcome.code == 0 and outcome.out.startswith("NF = 44: parameters 199,932, at most 200")
    odd = document(account('cnn --input 1x4x4 --solve k --limit "parameters<=1e6" --json'))
    assert odd["count"] <= 1_000_000 < odd["next"]["count"]
    assert odd["value"] % 2 == 1 and odd["next"]["value"] == odd["value"] + 2


def test_depth_and_top(account: Callable[[str], Any]) -> None:
    rows = document(account("cnn --depth 1 --json"))["rows"]
    assert [row["layer"] for row in rows] == ["b1", "b2", "b3", "b4", "b5", "out"]
    found = document(account("cnn --top 2 --json"))
    assert [row["layer"] for row in found["rows"]] == ["out", "b2.conv"]
    assert found["totals"]["connections"] == 15_630_336
    assert any("the 2 of 21" in note for note in found["notes"])


def test_figures(account: Callable[[str], Any]) -> None:
    line = "cnn --figure bars.png --shapes shapes.svg --json"
    outcome = account(line)
    assert outcome.err.splitlines() == ["limner: wrote bars.png", "limner: wrote shapes.svg"]
    document(outcome)
    before = Path("bars.png").read_bytes()
    again = account(line)
    assert again.code == 2 and "--overwrite" in again.err and again.out == ""
    assert account(f"{line} --overwrite").code == 0
    assert Path("bars.png").read_bytes() == before


def test_a_users_own_network(account: Callable[[str], Any]) -> None:
    outcome = account("MINE:Net --set width=8 --input 3x16x16 --json")
    found = document(outcome)  # what the file prints is not on stdout
    assert found["totals"]["parameters"] == 8 * 28 + 8 * 73
    assert f"{NAME}:Net is class Net of {NAME}.py" in outcome.err
    assert "this file talks" in outcome.err and "this network talks" in outcome.err


def test_a_users_network_in_its_own_symbols(account: Callable[[str], Any]) -> None:
    line = "MINE:Net --set width=8 --free width,H,W,B --input 3x16x16 --json"
    found = document(account(line))
    names = {name: sympy.Symbol(name) for name in ("width", "H", "W", "B")}
    width, H, W, batch = names.values()
    connections = sympy.sympify(found["totals"]["connections"], locals=names)
    assert sympy.expand(connections - 9 * batch * H * W * width * (width + 3)) == 0


def test_a_live_network_and_several_inputs(account: Callable[[str], Any]) -> None:
    assert document(account("MINE:live --input 3 --json"))["totals"]["parameters"] == 8
    found = document(account("MINE:Two --input 3x4 --input 3x4 --json"))
    assert found["input"] == [[1, 3, 4], [1, 3, 4]]


def test_torchvisions_networks(account: Callable[[str], Any]) -> None:
    outcome = account("torchvision.models:squeezenet1_1 --input 3x224x224 --depth 1 --json")
    assert document(outcome)["totals"]["parameters"] == 1_235_496
    assert "function squeezenet1_1 of torchvision.models.squeezenet" in outcome.err


def test_unknown_operators_are_listed_if_allowed(account: Callable[[str], Any]) -> None:
    outcome = account("MINE:Rare --input 4x4 --allow-unknown")
    assert outcome.code == 0 and "svd is not counted" in outcome.out


REFUSED = {
    # a network that is not there
    "resnet50 --input 3x224x224": "torchvision.models:resnet50",
    "torchvision.models:resnet99 --input 3x224x224": "resnet101",
    "no_such_package:net --input 3": "cannot be imported",
    "leaves:net --input 3": "cannot be imported",
    "MINE.py:Net --input 3x8x8": "leave out .py",
    "MINE: --input 3x8x8": "package.module:callable",
    "MINE:five --input 3": "no callable",
    "MINE:number --input 3": "returned int",
    "none.onnx": "no such file",
    "some.onnx": "not an ONNX file",
    # arguments
    "MINE:Net --input 3x8x8": "needs width",
    "MINE:Net --set width=8 --set wide=8 --input 3x8x8": "no argument 'wide'",
    "MINE:live --set k=3 --input 3": "built already",
    "cnn --set k": "NAME=VALUE",
    "cnn --set =3": "NAME=VALUE",
    "cnn --set k=4": "odd",
    "cnn --set k=three": "whole number",
    "cnn --set H=x": "whole number",
    "photo --set k=5": "has its k already",
    # inputs
    "MINE:Net --set width=8": "--input 3x224x224",
    "MINE:Net --set width=8 --input 1x8x8": "layers.0 (Conv2d) wanted 3 channels",
    "MINE:Net --set width=8 --input 224": "layers.0 (Conv2d) wanted 3 channels",
    "cnn --input 224": "C x H x W",
    "cnn --input 3x": "sizes without the batch",
    "cnn --input 0x32x32": "above 0",
    "cnn --input 1x33x32": "multiples of 4",
    "cnn --input 3x32x32 --set NIn=1": "b1.conv (Conv2d) wanted 1 channels",
    "cnn --input 1x32x32 --input 1x32x32": "one input",
    # networks without a fixed cost
    "MINE:Peeks --input 3": "depends on values",
    "MINE:Real --input 3": "makes a tensor on cpu",
    "MINE:Rare --input 4x4": "no rule counts",
    # symbols and limits
    "cnn --free Q": "no symbol 'Q'",
    "cnn --free ''": "no symbol ''",
    "unet --free skips": "no symbol 'skips'",
    "MINE:live --input 3 --symbolic": "--free",
    "MINE:Two --input 3x4 --input 3x4 --free B": "one input",
    "unet --solve Q --limit parameters<=1e6": "no symbol 'Q'",
    "unet --solve NF --limit params<=1e6": "'params'",
    "unet --solve NF --limit parameters": "parameters<=1e6",
    "unet --solve NF --limit parameters<=10": "no NF meets parameters <= 10",
    "unet --solve H --limit parameters<=1e6": "every H meets",
    "unet --solve NF": "--limit",
    "unet --limit parameters<=1e6": "--solve",
    # options that do not go together, and files
    "cnn --compare unet --doubled": "one at a time",
    "cnn --as-written --depth 1": "--depth",
    "cnn --solve NF --limit parameters<=1e6 --symbolic": "--symbolic",
    "cnn --doubled --figure a.png": "figures",
    "MINE:live --input 3 --doubled": "no picture",
    "MINE:live --input 3 --as-written": "no line",
    "cnn --figure taken.png": "exists",
    "cnn --figure a.pdf": ".png or .svg",
    "cnn --shapes a.png": ".svg",
    "cnn --figure no_such_folder/a.png": "cannot be written",
    "cnn --learn head": "b1, b2",
    "cnn --device moon": "device 'moon'",
    "cnn --top 0": "--top",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_refused(account: Callable[[str], Any], line: str) -> None:
    outcome = account(line)
    *said, last = outcome.err.splitlines()
    assert outcome.code == 2 and outcome.out == ""
    assert last.startswith("limner: ") and REFUSED[line] in last
    # besides, only what was found under the name is said, and what the user's code prints
    assert all(" is " in text or "talks" in text for text in said)
    assert Path("taken.png").read_text() == "mine"


def test_the_lazy_door() -> None:
    import limner
    from limner.accounting.account import account

    assert limner.account is account
    assert "account" in limner.__all__
