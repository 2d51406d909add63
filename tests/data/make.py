"""Make the sample data beside this file from pictures that scikit-image ships.

    python tests/data/make.py     (needs scikit-image and Pillow; the same files every time)

sample/{train,val}/   small color photographs: JPEG, PNG and WebP; square, wide and tall
cifar-10-batches-bin/ CIFAR-10's official binary format (Krizhevsky 2009), 40 and 10 records
"""

from pathlib import Path

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

HERE = Path(__file__).resolve().parent
HORSE = 7

# file below sample/: source, crop (left, top, right, bottom) in its pixels, size (width, height)
PHOTOGRAPHS = {
    "train/astronaut.jpg": ("astronaut", (0, 0, 400, 400), (128, 128)),
    "train/cat.png": ("chelsea", (75, 0, 375, 300), (128, 128)),
    "train/coffee.webp": ("coffee", (0, 0, 600, 400), (144, 96)),
    "train/rocket.jpg": ("rocket", (220, 0, 460, 427), (72, 128)),
    "val/cat.webp": ("chelsea", (0, 0, 451, 300), (128, 85)),
    "val/flag.png": ("astronaut", (0, 60, 256, 512), (72, 127)),
}


def photograph(
    source: str, box: tuple[int, int, int, int] | None, size: tuple[int, int]
) -> Image.Image:
    """One of scikit-image's pictures, or a crop of it, made small."""
    picture = Image.fromarray(getattr(skimage.data, source)())
    return picture.resize(size, Image.Resampling.BOX, box=box)


def records(labels: list[int], seed: int) -> NDArray[np.uint8]:
    """One CIFAR-10 record a label, [n, 3073]: the label, then the planes of a 32 x 32 crop."""
    chance = np.random.default_rng(seed)
    sources = [
        np.asarray(photograph(source, None, (96, 64)))
        for source in ("astronaut", "chelsea", "coffee", "rocket")
    ]
    table = np.empty((len(labels), 1 + 3 * 32 * 32), np.uint8)
    for row, label in enumerate(labels):
        left, top = chance.integers(0, 64), chance.integers(0, 32)
        crop = sources[row % len(sources)][top : top + 32, left : left + 32]
        table[row, 0] = label
        table[row, 1:] = crop.transpose(2, 0, 1).ravel()
    return table


def main() -> None:
    for name, (source, box, size) in PHOTOGRAPHS.items():
        file = HERE / "sample" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        photograph(source, box, size).save(file, quality=92)
    cifar = HERE / "cifar-10-batches-bin"
    cifar.mkdir(exist_ok=True)
    others = [label for label in range(10) if label != HORSE]
    (cifar / "data_batch_1.bin").write_bytes(records([HORSE] * 31 + others, seed=0).tobytes())
    (cifar / "test_batch.bin").write_bytes(records([HORSE] * 8 + [3, 5], seed=1).tobytes())


if __name__ == "__main__":
    main()
