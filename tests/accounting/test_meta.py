"""Networks get to the meta device whole, with ties, hooks and modes, and nothing is allocated."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from limner.accounting.meta import build_on_meta, call_builder, copy_to_meta
from limner.accounting.operation import storage_id
from limner.errors import AccountError, RecipeError
from limner.networks.cnn import CNN


class Tied(nn.Module):
    """An embedding and its transpose as a layer, a shared layer, a slice, a table of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embed.weight
        self.turned = nn.Parameter(self.embed.weight.detach().t())
        self.again = self.head
        self.table = torch.arange(10)
        self.register_buffer("mean", torch.zeros(3, dtype=torch.float64))
        self.head.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.embed(x + self.table[0]))
        return y


def test_a_copy_keeps_shapes_ties_types_and_masks() -> None:
    live = Tied()
    twin = copy_to_meta(live)
    assert isinstance(twin, Tied)
    assert {t.device.type for t in (*twin.parameters(), *twin.buffers(), twin.table)} == {"meta"}
    assert twin.head is twin.again and twin.head.weight is twin.embed.weight
    assert storage_id(twin.turned) == storage_id(twin.embed.weight)
    assert twin.turned.shape == (4, 10) and twin.turned.stride() == (1, 4)
    assert twin.mean is not None and twin.get_buffer("mean").dtype == torch.float64
    assert [p.requires_grad for p in twin.parameters()] == [True, False]
    assert {t.device.type for t in (*live.parameters(), live.table)} == {"cpu"}


def test_building_allocates_no_weight() -> None:
    huge = build_on_meta(nn.Linear, {"in_features": 2**22, "out_features": 2**22})  # 64 TiB
    assert huge.get_parameter("weight").shape == (2**22, 2**22)


def test_a_constructor_may_read_small_values() -> None:
    class Rates(nn.Module):
        def __init__(self, depth: int) -> None:
            super().__init__()
            self.drops = nn.ModuleList(nn.Dropout(r.item()) for r in torch.linspace(0, 0.5, depth))
            self.weight = nn.Parameter(torch.ones(depth))

    built = build_on_meta(Rates, {"depth": 3})
    assert [part.p for part in built.modules() if isinstance(part, nn.Dropout)] == [0, 0.25, 0.5]
    assert built.get_parameter("weight").is_meta


def test_nothing_fetches_weights() -> None:
    seen: dict[str, object] = {}

    def build(width: int, weights: object = "ALL", *, pretrained: bool = True) -> nn.Module:
        seen.update(weights=weights, pretrained=pretrained)
        return nn.Linear(width, width)

    build_on_meta(build, {"width": 2, "weights": "DEFAULT"})
    assert seen == {"weights": None, "pretrained": False}


def needy(width: int, depth: int, *, bias: bool = True) -> nn.Module:
    return nn.Linear(width, depth, bias=bias)


def refuse() -> nn.Module:
    raise ValueError("no such\nthing")


def nothing() -> object:
    return 3


BAD: list[tuple[Callable[..., object], dict[str, object], str]] = [
    (needy, {}, "needy needs width, depth, which no argument gives; give a value for each"),
    (needy, {"width": 2}, "needy needs depth, which no argument gives; give .*depth=... say"),
    (needy, {"widht": 2}, "needy has no argument 'widht'; it takes width, depth, bias"),
    (refuse, {"x": 2}, "refuse has no argument 'x'; it takes none"),
    (refuse, {}, "^refuse cannot be built: no such$"),
    (needy, {"width": "a", "depth": 1}, "needy cannot be built: "),
    (nothing, {}, "nothing returned int; give a callable that returns a torch module"),
]


@pytest.mark.parametrize(("build", "arguments", "message"), BAD)
def test_a_builder_that_does_not_fit_is_refused(
    build: Callable[..., nn.Module], arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(AccountError, match=message) as caught:
        call_builder(build, arguments)
    assert "\n" not in str(caught.value)


def test_our_own_errors_pass_through() -> None:
    with pytest.raises(RecipeError, match="k = 2 is even"):
        build_on_meta(CNN, {"k": 2})


def test_lazy_and_uncopyable_modules_are_refused() -> None:
    with pytest.raises(AccountError, match=r"^1 is lazy: its shapes are not known"):
        copy_to_meta(nn.Sequential(nn.ReLU(), nn.LazyLinear(3)))
    holder = nn.Linear(2, 2)
    holder.generator = (n for n in range(3))  # type: ignore[assignment]
    with pytest.raises(AccountError, match=r"Linear cannot be copied .*; give a callable"):
        copy_to_meta(holder)
