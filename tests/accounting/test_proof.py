"""Proofs hold for true counts and fail for false ones."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from limner.accounting import proof
from limner.accounting.trace import Trace, trace
from limner.accounting.training import run_step
from limner.errors import AccountError


def network() -> nn.Module:
    """A plain, a grouped, a transposed convolution and a linear layer; the first is frozen."""
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Conv2d(8, 12, 3, groups=4, stride=2), nn.ReLU(),
        nn.ConvTranspose2d(12, 6, 2, stride=2, groups=3), nn.Flatten(1, 2), nn.Linear(6, 5),
    ).to("meta")  # fmt: skip
    net[0].requires_grad_(False)
    return net


INPUT = [torch.empty(2, 3, 10, 10, device="meta")]


def falsified(run: Trace, index: int, **costs: int) -> Trace:
    """The trace with one operation's cost changed."""
    operations = list(run.operations)
    operations[index] = replace(operations[index], cost=replace(operations[index].cost, **costs))
    return replace(run, operations=tuple(operations))


def test_connections_agree_with_torchs_counter_and_falsified_ones_do_not() -> None:
    net = network()
    with proof.counter() as theirs:
        run = trace(net, INPUT)
    proof.prove_forward(run, theirs)
    with pytest.raises(
        AccountError, match=r"^connections: counted [\d,]+, but torch's FlopCounter"
    ):
        proof.prove_forward(falsified(run, 0, connections=1), theirs)


def test_a_step_agrees_with_torchs_counter_and_falsified_ones_do_not() -> None:
    net = network()
    run = trace(net, INPUT)
    with proof.counter() as theirs:
        run_step(net, INPUT)
    proof.prove_training(run, theirs)
    gradients = [i for i, o in enumerate(run.operations) if o.cost.connections]
    assert len(gradients) == 4
    for index in gradients:
        with pytest.raises(AccountError, match=r"^connections of a training step: counted "):
            proof.prove_training(falsified(run, index, weight_gradient=1), theirs)
        with pytest.raises(AccountError, match=r"^connections of a training step: counted "):
            proof.prove_training(falsified(run, index, input_gradient=1), theirs)


def test_saved_bytes_agree_with_the_graph_and_falsified_ones_do_not() -> None:
    net = network()
    run = trace(net, INPUT)
    proof.prove_saved(net, run)
    for wrong in (-4, 4):
        with pytest.raises(AccountError, match=r"^saved bytes: counted [\d,]+, but autograd's"):
            proof.prove_saved(net, replace(run, saved={**run.saved, "": wrong}))


def test_elements_lie_once_in_memory() -> None:
    base = torch.zeros(4, 6)
    assert proof.count_elements([base, base]) == 24
    assert proof.count_elements([base, base.t()]) == 24
    assert proof.count_elements([base, base[:2], base[1:, 3:]]) == 24
    assert proof.count_elements([base[:, :2], base[:, 3:]]) == 20
    assert proof.count_elements([base[:, ::2]]) == 12
    assert proof.count_elements([torch.zeros(3, 1).expand(3, 50), torch.zeros(0), base]) == 27
    assert proof.count_elements([torch.tensor(1.0)]) == 1
    assert proof.count_elements([]) == 0


def test_a_wrong_number_of_elements_is_an_error() -> None:
    proof.prove_elements("parameters", 24, [torch.zeros(4, 6)])
    with pytest.raises(AccountError, match=r"^parameters: counted 25, but elements in memory giv"):
        proof.prove_elements("parameters", 25, [torch.zeros(4, 6)])


def test_what_torch_does_not_count_is_named() -> None:
    class Vector(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.mv(x, x[0])

    run = trace(Vector(), [torch.empty(3, 3, device="meta")])
    assert proof.unproved(run) == ["mv"]
    assert proof.unproved(trace(network(), INPUT)) == []
