"""What a network's frozen layers say of each view, computed once and kept in a file.

Where only the last layer learns, everything before it says the same of the same view every time.
Learning from what was kept is the same computation as learning from the pictures, bit for bit in
fp32: the batches have the training's size when the features are computed, since the last bits of a
product depend on it. (Of encoders with SiLU or a sigmoid they depend on the place in the batch too,
where a vector register does not divide what lies in it: about 1e-7, and nothing at batches of a
multiple of 16. The encoders named in the recipes have neither, or are not touched by it.)
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from limner.errors import DataError
from limner.learn.loading import data
from limner.learn.loading.batches import Batch
from limner.learn.loading.views import Views
from limner.learn.metrics import Report
from limner.learn.run import Run

# Keys of a recipe that change what the frozen layers see, or how their answers are kept.
KEYS = (
    "network", "data", "size", "zoom", "flip", "tone", "views", "batch", "seed", "cache",
    "loss_at", "foreground", "scale", "shift",
)  # fmt: skip

FORMAT = 1  # raised when the same recipe's views, or what is kept of them, are computed otherwise

TOLD = 100  # rows between two words on how far it is


class NoRoom(DataError):
    """Features cannot be kept; the run is saved, and goes on once there is room."""


@dataclass(frozen=True)
class Features:
    """Rows of kept features, and the classes of each: memory-mapped, the views of the pictures one
    view after the other, then the validation pictures.

    features: float32, or int16 that holds bfloat16, [rows, h, w, F]. classes: int16 [rows, H, W].
    """

    features: NDArray[Any]
    classes: NDArray[np.int16]

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Features float32 [N, F, h, w], in channels-last memory, and classes int64 [N, H, W]."""
        kept = torch.from_numpy(self.features[rows])
        if kept.dtype == torch.int16:
            kept = kept.view(torch.bfloat16)
        classes = torch.from_numpy(self.classes[rows]).long()
        return kept.float().permute(0, 3, 1, 2), classes


class Cached:
    """The same batches as those of `views`, from kept features in place of pictures."""

    ready = True

    def __init__(self, views: Views, kept: Features) -> None:
        self.views, self.kept = views, kept

    def __call__(self, step: int) -> Batch:
        chosen, view = self.views.shown(step)
        return self.kept.batch(view * len(self.views) + chosen)


class Rows:
    """Kept rows from `first` to the last in batches of a size, read anew each time: not all of them
    lie in memory at once."""

    def __init__(self, kept: Features, first: int, size: int) -> None:
        self.kept, self.first, self.size = kept, first, size

    def __iter__(self) -> Iterator[Batch]:
        rows = np.arange(self.first, len(self.kept.features))
        for start in range(0, len(rows), self.size):
            yield self.kept.batch(rows[start : start + self.size])


def use_features(run: Run, report: Report | None) -> Rows:
    """Let the run, of which the last layer alone learns, learn it from kept features; its
    validation batches, kept as well.

    They are found again by all that they depend on (weights, pictures, masks, views, batch,
    threads), or computed now. Raises NoRoom if they cannot be written.
    """
    assert isinstance(run.batches, Views)  # a recipe with a cache has views
    views = run.batches
    kept = find_or_make(run, views, report)
    run.batches = Cached(views, kept)
    run.learner = run.network.get_submodule(run.network.last_layer)
    return Rows(kept, run.recipe.views * len(views), run.recipe.batch)


def find_or_make(run: Run, views: Views, report: Report | None) -> Features:
    """The run's kept features, from `KEY.features.npy` and `KEY.classes.npy`, or into them."""
    key = key_of(run)
    folder = run.cache or data.cache_folder()
    path, classes = (folder / f"{key}.{part}.npy" for part in ("features", "classes"))
    if not (path.is_file() and classes.is_file()):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(run, views, path, classes, report)
        except OSError as error:
            raise NoRoom(
                f"{path}: the features cannot be written ({error.strerror}); make room, or set "
                "XDG_CACHE_HOME to another folder"
            ) from error
    return Features(np.load(path, mmap_mode="r"), np.load(classes, mmap_mode="r"))


def key_of(run: Run) -> str:
    """A name for what the features depend on; another model, other data or views have another."""
    digest = hashlib.sha256()
    facts = {
        "formats": [FORMAT, data.FORMAT],
        "recipe": {key: getattr(run.recipe, key) for key in KEYS},
        "arguments": run.network.arguments,
        "data": run.sources.described,
        "palette": run.palette.to_json(),
        "precision": run.precision,
        "device": run.device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    for name, value in run.network.state_dict().items():
        if not name.startswith(run.network.last_layer + "."):
            digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def write(run: Run, views: Views, path: Path, classes: Path, report: Report | None) -> None:
    """Compute all rows and write both files, each whole or not at all. Tells the size before it
    begins."""
    rows = run.recipe.views * len(views) + sum(map(len, run.sources.held))
    beside = [file.with_suffix(f".{os.getpid()}") for file in (path, classes)]
    done = 0
    try:
        with beside[0].open("wb") as features_file, beside[1].open("wb") as classes_file:
            for count, (inputs, said) in passes(run, views):
                features = as_kept(last_inputs(run, inputs)[:count], run.recipe.cache)
                numbers = said[:count].to(torch.int16).numpy()
                if not done:
                    tell_size(path, rows, [features[0].nbytes, numbers[0].nbytes], report)
                    begin(features_file, features, rows)
                    begin(classes_file, numbers, rows)
                features_file.write(features.tobytes())
                classes_file.write(numbers.tobytes())
                done += count
                if report and (done == rows or done // TOLD > (done - count) // TOLD):
                    report(done, rows, {"caching": str(path)})
        beside[1].replace(classes)
        beside[0].replace(path)
    finally:
        for half in beside:
            half.unlink(missing_ok=True)


def begin(file: BinaryIO, first: NDArray[Any], rows: int) -> None:
    """The .npy header of so many rows like those of `first`."""
    header = {
        "descr": np.lib.format.dtype_to_descr(first.dtype),
        "fortran_order": False,
        "shape": (rows, *first.shape[1:]),
    }
    np.lib.format.write_array_header_1_0(file, header)


def passes(run: Run, views: Views) -> Iterator[tuple[int, Batch]]:
    """Every view of every picture in batches of the training's size, the last of each view filled
    by repeating its last picture, then the validation pictures; how many rows count, and them."""
    n, size = len(views), run.recipe.batch
    for view in range(run.recipe.views):
        for first in range(0, n, size):
            chosen = np.arange(first, first + size)
            yield min(size, n - first), views.batch(chosen.clip(max=n - 1), view)
    for batch in run.sources.validation(run.recipe, run.network.stride):
        yield len(batch[0]), batch


@torch.no_grad()
def last_inputs(run: Run, inputs: torch.Tensor) -> torch.Tensor:
    """What the last layer sees of a batch, float32 [N, F, h, w]."""
    inputs = inputs.to(run.device).contiguous(memory_format=torch.channels_last)
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.precision == "bf16"):
        features: torch.Tensor = run.network.features(inputs)
    return features.float()


def as_kept(features: torch.Tensor, cache: str) -> NDArray[Any]:
    """Features [N, F, h, w] as rows of `Features`: [N, h, w, F]."""
    rows = features.permute(0, 2, 3, 1).contiguous().cpu()
    if cache == "bf16":
        rows = rows.to(torch.bfloat16).view(torch.int16)
    kept: NDArray[Any] = rows.numpy()
    return kept


def tell_size(path: Path, rows: int, widths: list[int], report: Report | None) -> None:
    """Say how large the files become, rows of so many bytes. Raises NoRoom where the disk has not
    that much."""
    needed, free = rows * sum(widths), shutil.disk_usage(path.parent).free
    if report:
        report(0, rows, {"caching": str(path), "bytes": needed})
    if needed > free:
        raise NoRoom(
            f"{path}: the features take {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are "
            "free; make room, or set XDG_CACHE_HOME to another folder"
        )
