"""Which parts of a network learn."""

from collections.abc import Sequence
from typing import Literal

from torch import nn

from limner.errors import RecipeError


def freeze(module: nn.Module, learn: Literal["all"] | Sequence[str]) -> list[str]:
    """Let only the parts named in `learn` learn, and return their parameters' names, in order.

    A part is a module's or a parameter's dotted name, matched by whole components: `backbone.1`
    is not `backbone.16`. Frozen parts get `requires_grad` False (torch then builds no graph for
    them), and `Network.train` leaves them in eval, so that frozen norms keep their statistics.
    RecipeError for a name that has no parameters.
    """
    names = [name for name, _ in module.named_parameters()]
    parts = [""] if learn == "all" else [learn] if isinstance(learn, str) else list(learn)
    for part in parts:
        if not any(holds(part, name) for name in names):
            known = ", ".join(known_parts(part, names))
            raise RecipeError(f"nothing to learn under {part!r}; name parts of {known}, or all")
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(any(holds(part, name) for part in parts))
    module.train(module.training)
    return [name for name, parameter in module.named_parameters() if parameter.requires_grad]


def known_parts(part: str, names: list[str]) -> list[str]:
    """The children of an unknown part's longest known prefix; without one the network's."""
    prefix = f"{part}."
    while prefix and not any(name.startswith(prefix) for name in names):
        prefix = prefix[: prefix.rfind(".", 0, -1) + 1]
    ends = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    return list(dict.fromkeys(prefix + end.split(".")[0] for end in ends))


def holds(part: str, name: str) -> bool:
    """Whether the part (empty: the whole network) holds the parameter of that dotted name."""
    return not part or name == part or name.startswith(part + ".")
