"""One symbolic run: torch's private interface still does what symbolic.py expects of it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import sympy
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.accounting.interpolate import Free
from limner.accounting.symbolic import TRIED_WITH, choose_values, run
from limner.errors import AccountError

k, C, D, H, W = sympy.symbols("k C D H W", integer=True, positive=True)


def test_this_is_the_torch_that_the_private_interface_was_tried_with() -> None:
    """When it fails: run this file, mend symbolic.py where it has to be, and name the release."""
    assert torch.__version__.startswith(f"{TRIED_WITH}.")


def shape_of(function: Callable[..., Tensor], *free: Free) -> tuple[sympy.Expr, ...]:
    """The shape, in the free symbols, of what a function of the symbolic point returns."""

    def counts(point: Mapping[str, Any]) -> dict[int, Any]:
        return dict(enumerate(function(**point).shape))

    return tuple(run(counts, free).formulas.values())


def test_sizes_are_expressions_in_the_readers_symbols() -> None:
    def build(k: int, C: int, H: int) -> Tensor:
        conv = nn.Conv2d(3, 2 * C, k, padding=(k - 1) // 2)
        pooled: Tensor = nn.MaxPool2d(2)(conv(torch.empty(1, 3, H, H)))
        return pooled

    free = Free("k", 3, 2), Free("C", 32), Free("H", 32, 4)
    assert shape_of(build, *free) == (1, 2 * C, H / 2, H / 2)


def test_floors_are_exact_and_short() -> None:
    def build(H: int, W: int) -> Tensor:
        conv: Tensor = nn.Conv2d(3, 4, 7, stride=2, padding=3)(torch.empty(1, 3, H, W))
        pooled: Tensor = nn.MaxPool2d(3, stride=2, padding=1)(conv)
        return pooled

    assert shape_of(build, Free("H", 224), Free("W", 224))[2:] == (
        sympy.ceiling(H / 4),
        sympy.ceiling(W / 4),
    )


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({"scale_factor": 2}, (2 * H, 6)),
        ({"scale_factor": (1.5, 1)}, (sympy.floor(3 * H / 2), 3)),
        ({"scale_factor": 2, "mode": "bilinear", "align_corners": False}, (2 * H, 6)),
        ({"scale_factor": 2, "mode": "bicubic"}, (2 * H, 6)),
        ({"scale_factor": 2, "mode": "nearest-exact"}, (2 * H, 6)),
        ({"size": (5, 7)}, (5, 7)),
    ],
)
def test_resizing_keeps_symbols(arguments: dict[str, Any], wanted: tuple[Any, Any]) -> None:
    def build(H: int) -> Tensor:
        return F.interpolate(torch.empty(1, 2, H, 3), **arguments)

    assert shape_of(build, Free("H", 9))[2:] == wanted


def test_padding_keeps_symbols() -> None:
    def build(H: int) -> Tensor:
        return F.pad(torch.empty(1, 2, H, 3), (1, 2, 0, 4))

    assert shape_of(build, Free("H", 9))[2:] == (H + 4, 6)


def test_a_batch_norm_keeps_shapes_in_training_and_in_eval() -> None:
    def counts(point: Mapping[str, Any]) -> dict[str, Any]:
        norm = nn.BatchNorm2d(point["C"])
        x = torch.empty(2, point["C"], point["H"], 4)
        found = {"training": norm(x).shape[1], "eval": norm.eval()(x).shape[2]}
        return {**found, "parameters": sum(p.numel() for p in norm.parameters())}

    formulas = run(counts, [Free("C", 8), Free("H", 8)]).formulas
    assert formulas == {"training": C, "eval": H, "parameters": 2 * C}


def test_branches_become_steps_and_conditions() -> None:
    def counts(point: Mapping[str, Any]) -> dict[str, Any]:
        if point["k"] % 2 == 0 or point["H"] % 4:
            raise ValueError("refused")
        skip = 0 if point["C"] == point["D"] else point["C"] * point["D"]
        return {"places": point["H"] // 4, "skip": skip, "radius": (point["k"] - 1) // 2}

    found = run(counts, [Free("k", 3), Free("C", 8), Free("D", 8), Free("H", 32)])
    assert [(s.name, s.step) for s in found.free] == [("k", 2), ("C", 1), ("D", 1), ("H", 4)]
    assert found.formulas == {"places": H / 4, "skip": C * D, "radius": k / 2 - sympy.S.Half}
    assert found.conditions == (sympy.Ne(C, D),)


def test_groups_that_must_divide_become_a_step() -> None:
    found = run(
        lambda point: {"C": nn.Conv2d(point["C"], 8, 1, groups=4).weight.shape[1]}, [Free("C", 16)]
    )
    assert (found.formulas["C"], found.free[0].step) == (C / 4, 4)


def test_a_size_that_a_network_insists_on_cannot_be_free() -> None:
    def counts(point: Mapping[str, Any]) -> dict[str, Any]:
        if point["H"] != 21:  # 3 times the value known: what a symbolic run has at hand
            raise ValueError("refused")
        return {"H": point["H"]}

    with pytest.raises(AccountError, match="H cannot be free"):
        run(counts, [Free("H", 7)])


def test_what_a_network_raises_passes_through() -> None:
    def counts(point: Mapping[str, Any]) -> dict[str, Any]:
        raise TypeError("give an int")

    with pytest.raises(TypeError, match="give an int"):
        run(counts, [Free("H", 7)])


def test_a_plain_number_is_a_constant() -> None:
    """`range` asks for a number: the run goes on, with a formula that other sizes prove wrong."""
    found = run(lambda point: {"n": len(range(point["H"])), "H": point["H"]}, [Free("H", 8)])
    assert found.formulas == {"n": 24, "H": H}


def test_symbols_get_values_of_their_own() -> None:
    free = [Free("a", 32), Free("b", 32), Free("c", 96), Free("k", 3, 2), Free("x", 5, 4)]
    values = choose_values(free)
    assert len(set(values)) == 5
    assert all(
        v % s.step == s.residue and v % s.value == 0 for v, s in zip(values, free, strict=True)
    )
