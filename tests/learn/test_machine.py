"""Device and precision: what is wished for, what is there, and errors that say so."""

import pytest
import torch

from limner.errors import TrainingError
from limner.learn import machine

CPU = torch.device("cpu")


def test_auto_takes_cuda_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert machine.choose_device("auto").type == expected
        assert machine.choose_device("cpu").type == "cpu"
    with pytest.raises(TrainingError, match="cpu") as error:
        machine.choose_device("cuda")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("wish", ["tpu", "", "CUDA"])
def test_an_unknown_wish_lists_the_choices(wish: str) -> None:
    with pytest.raises(TrainingError, match="auto, cpu or cuda"):
        machine.choose_device(wish)
    with pytest.raises(TrainingError, match="auto, fp32 or bf16"):
        machine.choose_precision(wish, CPU)


@pytest.mark.parametrize("wish", ["fp32", "bf16"])
def test_a_wished_precision_is_taken_unmeasured(monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    def never(*arguments: object) -> float:
        raise AssertionError("measured")

    monkeypatch.setattr(machine, "step_seconds", never)
    assert machine.choose_precision(wish, CPU) == (wish, {})


@pytest.mark.parametrize(
    ("fp32", "bf16", "chosen"), [(1.0, 0.4, "bf16"), (1.0, 0.95, "fp32"), (1.0, 4.0, "fp32")]
)
def test_auto_takes_bf16_only_where_it_is_much_faster(
    monkeypatch: pytest.MonkeyPatch, fp32: float, bf16: float, chosen: str
) -> None:
    seconds = {"fp32": fp32, "bf16": bf16}
    monkeypatch.setattr(machine, "step_seconds", lambda precision, device: seconds[precision])
    assert machine.choose_precision("auto", CPU) == (chosen, seconds)


def test_a_measurement_measures() -> None:
    for precision in ("fp32", "bf16"):
        assert 0 < machine.step_seconds(precision, CPU, limit=0.0) < 60


def test_memory_that_is_kept_still_works() -> None:
    machine.keep_memory()
    assert float(torch.ones(1 << 20).sum()) == 1 << 20
