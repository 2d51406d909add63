"""What the machine at hand does best: device, precision, memory; measured, not guessed."""

import ctypes
import sys
import time
from typing import Literal

import torch
from torch import nn

from limner.errors import TrainingError

Precision = Literal["fp32", "bf16"]
WORTH_IT = 0.8  # bf16 is chosen where its step costs at most this share of fp32's
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc, malloc.h


def keep_memory() -> None:
    """Tell glibc's malloc to keep freed memory, so that no step pays for fresh pages again."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "gnu_get_libc_version"):
            libc.mallopt(M_MMAP_MAX, 0)
            libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def choose_device(wish: str) -> torch.device:
    """`auto` takes CUDA where it is. Raises TrainingError for a wish that cannot be met."""
    if wish not in ("auto", "cpu", "cuda"):
        raise TrainingError(f"--device {wish}: it is auto, cpu or cuda")
    if wish == "cuda" and not torch.cuda.is_available():
        raise TrainingError("--device cuda: torch finds no CUDA device here; use --device cpu")
    return torch.device("cuda" if wish != "cpu" and torch.cuda.is_available() else "cpu")


def choose_precision(wish: str, device: torch.device) -> tuple[Precision, dict[str, float]]:
    """The precision to train in, and the seconds a step took in each if it was measured."""
    if wish not in ("auto", "fp32", "bf16"):
        raise TrainingError(f"--precision {wish}: it is auto, fp32 or bf16")
    if wish == "fp32":
        return "fp32", {}
    if wish == "bf16":
        return "bf16", {}
    seconds = {name: step_seconds(name, device) for name in ("fp32", "bf16")}
    faster = seconds["bf16"] <= WORTH_IT * seconds["fp32"]
    return ("bf16" if faster else "fp32"), seconds


def step_seconds(precision: str, device: torch.device, limit: float = 0.4) -> float:
    """The fastest forward and backward of a few 3 x 3 convolutions within `limit` seconds."""
    layers = [nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1)]
    network = nn.Sequential(*layers).to(device).to(memory_format=torch.channels_last)
    x = torch.zeros(32, 32, 32, 32, device=device).to(memory_format=torch.channels_last)
    best = float("inf")
    begin = time.perf_counter()
    while time.perf_counter() - begin < limit or best == float("inf"):
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            y = network(x)
        y.float().sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


def matrix_peak(precision: Precision, size: int = 1536, limit: float = 0.5) -> float:
    """Multiply-adds a second of the CPU's best matrix product: a roof for training."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = torch.rand(size, size).to(kind), torch.rand(size, size).to(kind)
    best = float("inf")
    begin = time.perf_counter()
    while time.perf_counter() - begin < limit or best == float("inf"):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return size**3 / best
