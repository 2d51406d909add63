"""Which way of bringing chroma to full size is best: the table of docs/upsampling.md.

True chroma is reduced by box means and brought back, by each method, with the picture's own light.
The error is the mean ab distance near edges of the chroma: within 4 pixels of pixels whose Sobel
gradient of ab, divided by 8, exceeds 3.

    python benchmarks/upsampling.py --choose   # tries settings, on 200 pictures of `photos` train
    python benchmarks/upsampling.py            # the table, on `photos` val

Both also on pictures of constant regions, other ones for each.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from limner.color import rgb8_to_lab
from limner.dataset import find
from limner.paint.upsample import REACH, Upsampler
from limner.picture import read_rgb
from limner.scores import near_edges

Floats = NDArray[np.float32]
# (chroma of the cells [h, w, 2], light [H, W], factor) -> chroma [H, W, 2]
Method = Callable[[Floats, Floats, int], Floats]

NEAR = 4  # pixels
CHOSEN_ON = 200  # photographs of train
SYNTHETIC = 100  # pictures
SIDE = 512  # pixels of a synthetic picture
REGIONS = 24
RESAMPLES = 1000
# The others' best of --choose. Guided filter: cells on each side of a window's middle, L* squared.
RADIUS, EPSILON = 1, 1.0
SIGMA = 6.0  # L*


def box_mean(values: Floats, factor: int) -> Floats:
    """[H, W, C] -> [H / factor, W / factor, C]; the factor divides the sides."""
    height, width, channels = values.shape
    cells = values.reshape(height // factor, factor, width // factor, factor, channels)
    means: Floats = cells.mean(axis=(1, 3))
    return means


def bilateral(reach: float) -> Method:
    """The package's own upsampling."""

    def method(ab: Floats, light: Floats, factor: int) -> Floats:
        guide = box_mean(light[..., None], factor)[..., 0]
        upsampler = Upsampler(ab, guide, light.shape[1], 1 / factor, 1 / factor, reach)
        return np.stack(upsampler.rows(0, light), axis=-1)

    return method


def bilinear(ab: Floats, light: Floats, factor: int) -> Floats:
    """No guide: the cell's light is the same everywhere."""
    flat = np.zeros(ab.shape[:2], np.float32)
    upsampler = Upsampler(ab, flat, light.shape[1], 1 / factor, 1 / factor)
    return np.stack(upsampler.rows(0, light), axis=-1)


def gaussian(sigma: float) -> Method:
    """The same window with a Gaussian of the light difference (Kopf et al. 2007)."""

    def method(ab: Floats, light: Floats, factor: int) -> Floats:
        guide = box_mean(light[..., None], factor)[..., 0]
        total, mean = np.zeros_like(light), np.zeros((*light.shape, 2), np.float32)
        for row, down in corners(light.shape[0], factor):
            for column, across in corners(light.shape[1], factor):
                away = (light - guide[row][:, column]) / sigma
                # Where all four cells are far in light, the nearness alone decides.
                weight = down[:, None] * across * (np.exp(away * away / -2) + np.float32(1e-9))
                total += weight
                mean += weight[..., None] * ab[row][:, column]
        mean /= total[..., None]
        return mean

    return method


def corners(side: int, factor: int) -> list[tuple[NDArray[np.intp], Floats]]:
    """For every pixel of a side: the cell before and the cell after, each with its nearness."""
    place = ((np.arange(side) + 0.5) / factor - 0.5).clip(0, side // factor - 1)
    before = place.astype(np.intp)
    share = (place - before).astype(np.float32)
    return [(before, 1 - share), (np.minimum(before + 1, side // factor - 1), share)]


def guided(radius: int, epsilon: float) -> Method:
    """Fast guided filter (He, Sun 2015): chroma as a line in the light, fitted in windows of
    cells; the lines are upsampled. Clamped to the range of the cells of the window."""

    def method(ab: Floats, light: Floats, factor: int) -> Floats:
        guide = box_mean(light[..., None], factor)
        mean, center = window_mean(ab, radius), window_mean(guide, radius)
        slope: Floats = window_mean(ab * guide, radius) - mean * center
        slope /= window_mean(guide * guide, radius) - center * center + np.float32(epsilon)
        level: Floats = mean - slope * center
        lines = np.concatenate(
            [window_mean(slope, radius), window_mean(level, radius), *window_range(ab, radius)], -1
        )
        flat = np.zeros(guide.shape[:2], np.float32)
        upsampler = Upsampler(lines, flat, light.shape[1], 1 / factor, 1 / factor)
        planes = np.stack(upsampler.rows(0, light), axis=-1)
        value = planes[..., 0:2] * light[..., None] + planes[..., 2:4]
        clamped: Floats = np.clip(value, planes[..., 4:6], planes[..., 6:8])
        return clamped

    return method


def windows(values: Floats, radius: int) -> Floats:
    """[h, w, C] -> [h, w, C, n, n]: each cell's window, edges repeated."""
    padded = np.pad(values, ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    side = 2 * radius + 1
    return np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(0, 1))


def window_mean(values: Floats, radius: int) -> Floats:
    mean: Floats = windows(values, radius).mean(axis=(-2, -1))
    return mean


def window_range(values: Floats, radius: int) -> tuple[Floats, Floats]:
    seen = windows(values, radius)
    return seen.min(axis=(-2, -1)), seen.max(axis=(-2, -1))


def photographs(split: str, count: int | None) -> Iterator[Floats]:
    """Lab of the photographs, evenly chosen if not all."""
    files = find("photos", split).files
    for file in files[:: max(1, len(files) // count) if count else 1][:count]:
        yield rgb8_to_lab(read_rgb(file))


def piecewise(count: int, seed: int) -> Iterator[Floats]:
    """Lab of pictures of constant regions (a random Voronoi diagram) in random sRGB colors."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    for _ in range(count):
        places = random.uniform(0, SIDE, (REGIONS, 2))
        distance = (y[..., None] - places[:, 0]) ** 2 + (x[..., None] - places[:, 1]) ** 2
        colors = random.integers(0, 256, (REGIONS, 3), dtype=np.uint8)
        yield rgb8_to_lab(colors[distance.argmin(axis=-1)])


def errors(pictures: Iterator[Floats], methods: list[Method], factor: int) -> Floats:
    """Each method's error on each picture that has chroma edges: [n, methods]."""
    found = []
    for lab in pictures:
        height, width = (side // factor * factor for side in lab.shape[:2])
        light, ab = lab[:height, :width, 0].copy(), lab[:height, :width, 1:]
        near = near_edges(ab, NEAR)
        if near.any():
            cells = box_mean(ab, factor)
            distances = [np.hypot(*(m(cells, light, factor) - ab)[near].T) for m in methods]
            found.append([float(distance.mean()) for distance in distances])
    return np.array(found, np.float32)


def ratio(values: Floats, method: int) -> str:
    """The method's mean error over the first method's, with its 95 % bootstrap interval."""
    random = np.random.default_rng(0)
    drawn = values[random.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.percentile(drawn[:, method] / drawn[:, 0], (2.5, 97.5))
    mean = values.mean(axis=0)
    return f"{mean[method] / mean[0]:.3f} ({low:.3f} to {high:.3f})"


def table(methods: dict[str, Method], sets: dict[str, Callable[[], Iterator[Floats]]]) -> None:
    print("| pictures | reduced | n | method | error, ab units | over bilinear (95 %) |")
    print("|---|---|---|---|---|---|")
    for name, pictures in sets.items():
        for factor in (8, 64):
            values = errors(pictures(), list(methods.values()), factor)
            for index, method in enumerate(methods):
                error = f"{values[:, index].mean():.2f}"
                over = ratio(values, index) if index else "1"
                print(f"| {name} | {factor} x | {len(values)} | {method} | {error} | {over} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--choose", action="store_true", help="try settings on photos train")
    arguments = parser.parse_args()
    methods: dict[str, Method] = {"bilinear": bilinear}
    if arguments.choose:
        for radius in (1, 2):
            for epsilon in (1.0, 3.0, 30.0):
                methods[f"guided, radius {radius}, {epsilon:g}"] = guided(radius, epsilon)
        for sigma in (4.0, 6.0, 8.0, 10.0):
            methods[f"joint bilateral, Gaussian, sigma {sigma:g}"] = gaussian(sigma)
        for reach in (2.0, 3.0, 4.0, 5.0, 6.0, 8.0):
            methods[f"joint bilateral, reach {reach:g}"] = bilateral(reach)
    else:
        methods[f"guided, radius {RADIUS}, {EPSILON:g}"] = guided(RADIUS, EPSILON)
        methods[f"joint bilateral, Gaussian, sigma {SIGMA:g}"] = gaussian(SIGMA)
        methods[f"joint bilateral, reach {REACH:g}"] = bilateral(REACH)
    split, count = ("train", CHOSEN_ON) if arguments.choose else ("val", None)
    table(
        methods,
        {
            f"photos {split}": lambda: photographs(split, count),
            "piecewise constant": lambda: piecewise(SYNTHETIC, int(arguments.choose)),
        },
    )


if __name__ == "__main__":
    main()
