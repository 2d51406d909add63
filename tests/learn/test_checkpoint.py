"""A checkpoint comes back exactly, and whatever interrupts a save leaves the older one whole."""

import errno
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from limner.errors import LimnerError, TrainingError
from limner.learn import checkpoint

ROOT = Path(__file__).parents[2]


def contents(value: float) -> dict[str, torch.Tensor]:
    return {
        "weight": torch.full((40, 30), value),
        "half": torch.full((7,), value, dtype=torch.bfloat16),
        "count": torch.tensor(int(value)),
    }


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


@pytest.mark.parametrize(
    "tensor",
    [
        torch.rand(3, 4, 5),
        torch.rand(4, 3, 2, 2).to(memory_format=torch.channels_last),
        torch.rand(5, 6).T,
        torch.rand(6).to(torch.bfloat16),
        torch.rand(6).to(torch.float64),
        torch.tensor(7),
        torch.tensor(3.0),
        torch.tensor([True, False]),
        torch.arange(5, dtype=torch.uint8),
        torch.zeros(0, 3),
        torch.tensor([float("inf"), -0.0, 1e-45]),
    ],
    ids=str,
)
def test_every_kind_of_tensor_comes_back_bit_for_bit(tmp_path: Path, tensor: torch.Tensor) -> None:
    checkpoint.save(tmp_path, 12, {"a/b.c": tensor}, {"seconds": 1.5, "list": [1, None]})
    step, tensors, state = checkpoint.load(tmp_path)
    assert step == 12
    assert state == {"seconds": 1.5, "list": [1, None]}
    assert list(tensors) == ["a/b.c"]
    assert tensors["a/b.c"].shape == tensor.shape
    assert equal(tensors, {"a/b.c": tensor})


def test_no_part_is_larger_than_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkpoint.PART <= 15_000_000
    monkeypatch.setattr(checkpoint, "PART", 1000)
    checkpoint.save(tmp_path, 3, contents(1), {})
    sizes = [file.stat().st_size for file in tmp_path.glob("*.safetensors")]
    assert max(sizes) <= 1000
    assert len(sizes) >= 5  # 4,800 bytes of weight alone
    assert equal(checkpoint.load(tmp_path)[1], contents(1))


def test_only_the_newest_checkpoint_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "PART", 1000)
    (tmp_path / "mine.safetensors").write_bytes(b"not a checkpoint's")
    checkpoint.save(tmp_path, 1, contents(1) | {"more": torch.zeros(2000)}, {})
    checkpoint.save(tmp_path, 2, contents(2), {})
    head = json.loads((tmp_path / "checkpoint.json").read_text())
    assert {file.name for file in tmp_path.iterdir()} == {
        "mine.safetensors", "checkpoint.json", *head["parts"],
    }  # fmt: skip
    assert checkpoint.load(tmp_path)[0] == 2


def test_a_checkpoint_holds_no_pickle(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, contents(1), {"seconds": 0.5})
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        assert content[:1] != b"\x80"  # a pickle's first byte
        assert content[:2] != b"PK"  # torch.save's
        assert file.suffix in (".json", ".safetensors")
    assert pickle.dumps([1])[:1] == b"\x80"  # control


def damaged(run: Path) -> TrainingError:
    with pytest.raises(TrainingError) as error:
        checkpoint.load(run)
    assert len(str(error.value).splitlines()) == 1
    return error.value


@pytest.mark.parametrize("part", [0, 2, -1])
def test_a_damaged_or_missing_part_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(checkpoint, "PART", 1000)
    checkpoint.save(tmp_path, 3, contents(1), {})
    file = sorted(tmp_path.glob("*.safetensors"))[part]
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert f"{file}: damaged" in str(damaged(tmp_path))
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # one bit
    assert f"{file}: damaged" in str(damaged(tmp_path))
    file.unlink()
    assert str(file) in str(damaged(tmp_path))
    file.write_bytes(whole)
    assert checkpoint.load(tmp_path)[0] == 3


@pytest.mark.parametrize("head", ["", '{"step": 3, "par', "{}", '{"step": 3}', "[]", "3", "\xff"])
def test_a_damaged_head_is_named(tmp_path: Path, head: str) -> None:
    checkpoint.save(tmp_path, 3, contents(1), {})
    (tmp_path / "checkpoint.json").write_bytes(head.encode("latin-1"))
    assert "checkpoint.json" in str(damaged(tmp_path))
    (tmp_path / "checkpoint.json").unlink()
    assert "checkpoint.json" in str(damaged(tmp_path))


class Killed(BaseException):
    """Nothing in the code may catch it, as nothing can catch a kill."""


@pytest.mark.parametrize("call", ["replace", "fsync", "unlink"])
def test_a_save_that_dies_at_any_call_leaves_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Dies before the n-th call to the system, for each n; the old or the new state is there."""
    monkeypatch.setattr(checkpoint, "PART", 1500)
    real, seen = getattr(os, call), 0

    def dies(*arguments: Any, **options: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == deadly:
            raise Killed
        return real(*arguments, **options)

    outcomes = []
    for deadly in range(1, 30):
        run = tmp_path / str(deadly)
        run.mkdir()
        checkpoint.save(run, 1, contents(1), {"seconds": 1.0})
        seen = 0
        with monkeypatch.context() as patch:
            patch.setattr(os, call, dies)
            try:
                checkpoint.save(run, 2, contents(2), {"seconds": 2.0})
            except Killed:
                died = True
            else:
                died = False
        step, tensors, state = checkpoint.load(run)
        assert equal(tensors, contents(step))
        assert state == {"seconds": float(step)}
        outcomes.append((died, step))
        checkpoint.save(run, 3, contents(3), {})  # and the next save works
        assert equal(checkpoint.load(run)[1], contents(3))
        if not died:
            break
    assert outcomes[-1] == (False, 2)
    assert len(outcomes) > 4  # there were several calls to die at
    if call != "unlink":
        assert (True, 1) in outcomes


KILLED_FOR_GOOD = """
import os, signal, sys
from pathlib import Path
import torch
from limner.learn import checkpoint

checkpoint.PART = 1500
run = Path(sys.argv[1])
names = ("replace", "fsync")
real = {name: getattr(os, name) for name in names}

def deadly(name, which):
    def call(*arguments, **options):
        counted[name] += 1
        if sum(counted.values()) == which:
            os.kill(os.getpid(), signal.SIGKILL)
        return real[name](*arguments, **options)
    return call

def contents(step):
    return {"weight": torch.full((40, 30), float(step))}

checkpoint.save(run, 1, contents(1), {})
killed, step = 0, 2
for which in range(1, 100):
    child = os.fork()
    if child == 0:
        counted = dict.fromkeys(names, 0)
        for name in names:
            setattr(os, name, deadly(name, which))
        checkpoint.save(run, step, contents(step), {})
        os._exit(0)
    _, status = os.waitpid(child, 0)
    found, tensors, _ = checkpoint.load(run)
    assert found in (step - 1, step), found
    assert torch.equal(tensors["weight"], contents(found)["weight"])
    if os.waitstatus_to_exitcode(status) == 0:
        break
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    killed += 1
    assert found == step - 1, "the head was replaced before everything was written"
    assert any(file.name.startswith(".") for file in run.iterdir())  # what the kill left
assert {file.suffix for file in run.iterdir()} == {".safetensors", ".json"}
print(killed)
"""


def test_a_save_killed_for_good_at_any_write_leaves_the_old_checkpoint_whole(
    tmp_path: Path,
) -> None:
    """A real SIGKILL, in the middle of each write and before each rename."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED_FOR_GOOD, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 8  # 4 parts and the head, each written and renamed


def test_a_full_disk_is_an_error_of_one_line_and_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, 1, contents(1), {})
    before = {file.name for file in tmp_path.iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LimnerError, match="cannot be written") as error:
        checkpoint.save(tmp_path, 2, contents(2), {})
    assert os.strerror(errno.ENOSPC) in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert {file.name for file in tmp_path.iterdir()} == before
    assert checkpoint.load(tmp_path)[0] == 1


def test_a_folder_that_is_not_there_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(LimnerError, match="cannot be written"):
        checkpoint.save(tmp_path / "gone", 1, contents(1), {})
