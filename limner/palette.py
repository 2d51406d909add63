"""A palette: the K classes of a model, with one color each, in RGB (0..255) or in CIELAB's ab.

Classes and colors go both ways: the nearest class of a color, the color of a class, and the
expected color of a distribution over classes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from limner.color import lab_to_rgb8
from limner.errors import PaletteError
from limner.files import write_atomically

Space = Literal["rgb", "ab"]
CHANNELS = {"rgb": 3, "ab": 2}
SHOWN_LIGHT = 60.0  # L* at which an ab color is shown: most of the gamut's chroma fits there
SETTLED = 1e-4  # k-means stops when at most this share of the colors changes its class
CHUNK = 1 << 22  # distances held at once (16 MB in float32)


@dataclass(frozen=True, eq=False)
class Palette:
    """K colors: float32 [K, 3] in 0..255 (space "rgb") or float32 [K, 2] in ab units ("ab").

    names: of the classes, where they are things and not colors (segmentation's labels); else empty.
    """

    space: Space
    colors: NDArray[np.float32]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.space not in tuple(CHANNELS):
            raise PaletteError(f"palette: space {self.space!r}; it is 'rgb' or 'ab'")
        colors = np.array(self.colors, np.float32)
        if colors.ndim != 2 or colors.shape[1] != CHANNELS[self.space] or len(colors) == 0:
            raise PaletteError(
                f"palette: colors of shape {colors.shape}; space {self.space!r} needs "
                f"[K, {CHANNELS[self.space]}] with K >= 1"
            )
        if not np.isfinite(colors).all():
            raise PaletteError("palette: a color is not a finite number; give finite colors")
        if len(np.unique(colors, axis=0)) < len(colors):
            raise PaletteError("palette: the same color stands twice; give each class its own")
        if self.names and len(self.names) != len(colors):
            raise PaletteError(
                f"palette: {len(self.names)} names for {len(colors)} colors; give each class one"
            )
        if len(set(self.names)) < len(self.names) or not all(self.names):
            raise PaletteError("palette: a name stands twice or is empty; give each class its own")
        colors.flags.writeable = False
        object.__setattr__(self, "colors", colors)

    def __len__(self) -> int:
        return len(self.colors)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Palette)
            and self.space == other.space
            and np.array_equal(self.colors, other.colors)
            and self.names == other.names
        )

    def __hash__(self) -> int:
        return hash((self.space, self.colors.tobytes(), self.names))

    def classes(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """The nearest class (Euclidean) of each color: [..., D] -> int64 [...]."""
        flat = np.asarray(values, np.float32).reshape(-1, self.colors.shape[1])
        return _nearest(flat, self.colors).reshape(np.shape(values)[:-1])

    def color(self, classes: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """The color of each class: [...] -> float32 [..., D]."""
        colors: NDArray[np.float32] = self.colors[classes]
        return colors

    def expected(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """The mean color of distributions over the classes: [..., K] -> float32 [..., D]."""
        mean: NDArray[np.float32] = np.asarray(probabilities, np.float32) @ self.colors
        return mean

    @classmethod
    def learn(
        cls, values: NDArray[Any], K: int, space: Space = "rgb", seed: int = 0, rounds: int = 300
    ) -> "Palette":
        """K-means (Lloyd 1982) from a k-means++ start (Arthur and Vassilvitskii 2007).

        values [n, D]: colors in the palette's space. A class that loses all its colors takes the
        color that lies farthest from its own class. Stops when at most one color in 10,000
        changes its class. Raises PaletteError if `values` holds fewer than K different colors.
        """
        points = np.asarray(values, np.float32)
        different = len(np.unique(points, axis=0))
        if different < K or K < 1:
            raise PaletteError(
                f"palette: {K} classes asked of {different} different colors; "
                "ask for fewer classes, at least one, or give more pictures"
            )
        centers = _spread(points, K, np.random.default_rng(seed))
        before = np.full(len(points), -1)
        for _ in range(rounds):
            nearest = _nearest(points, centers)
            if (nearest != before).sum() <= len(points) * SETTLED:
                break
            before = nearest
            counts = np.bincount(nearest, minlength=K)
            for empty in np.flatnonzero(counts == 0):
                away = ((points - centers[nearest]) ** 2).sum(axis=1)
                away[counts[nearest] < 2] = -1  # never rob a class of its only color
                farthest = int(away.argmax())
                nearest[farthest] = empty
                centers[empty] = points[farthest]
                counts = np.bincount(nearest, minlength=K)
            sums = [np.bincount(nearest, points[:, d], K) for d in range(points.shape[1])]
            centers = (np.stack(sums, axis=1) / counts[:, None]).astype(np.float32)
        order = np.lexsort(centers.T)  # a canonical order, whatever the start
        return cls(space, centers[order])

    @classmethod
    def grid(cls, ab: NDArray[Any], side: float = 10.0, least: float = 2e-6) -> "Palette":
        """The cells of a grid over the ab plane that the colors use (Zhang et al. 2016, sec. 2.2).

        ab [n, 2]. A cell of `side` ab units, centered on a multiple of `side`, is a class if at
        least the share `least` of the colors (2 of a million) falls into it.
        """
        cells = np.rint(np.asarray(ab, np.float32) / side).astype(np.int64)
        kept, counts = np.unique(cells, axis=0, return_counts=True)
        kept = kept[counts >= least * len(cells)]
        if len(kept) == 0:
            raise PaletteError("palette: no color to place on the grid; give pictures")
        return cls("ab", (kept * side).astype(np.float32))

    def swatches(self) -> NDArray[np.uint8]:
        """Each class's color for showing: uint8 [K, 3] sRGB (ab at L* 60, fitted to the gamut)."""
        if self.space == "rgb":
            return np.rint(self.colors).clip(0, 255).astype(np.uint8)
        light = np.full((len(self), 1), SHOWN_LIGHT, np.float32)
        return lab_to_rgb8(np.concatenate([light, self.colors], axis=1))

    def to_json(self) -> dict[str, Any]:
        """A plain document; there and back is exact (a float32 is written as its double)."""
        document = {"space": self.space, "colors": self.colors.astype(float).tolist()}
        return {**document, "names": list(self.names)} if self.names else document

    @classmethod
    def from_json(cls, document: Mapping[str, Any], source: str = "palette") -> "Palette":
        """Read what `to_json` wrote; `source` names it in errors. Raises PaletteError."""
        keys = set(document) if isinstance(document, Mapping) else set()
        if keys - {"names"} != {"space", "colors"}:
            raise PaletteError(
                f"{source}: not a palette; it holds 'space' and 'colors', of labels 'names' too"
            )
        names = document.get("names", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise PaletteError(f"{source}: names = {names!r:.60}; it is a list of words")
        try:
            colors = np.array(document["colors"], np.float32)
        except (TypeError, ValueError) as error:
            raise PaletteError(f"{source}: colors are not a table of numbers ({error})") from error
        return cls(document["space"], colors, tuple(names))

    def save(self, path: Path | str) -> None:
        """Write the palette as JSON, whole or not at all."""
        write_atomically(Path(path), (json.dumps(self.to_json()) + "\n").encode())

    @classmethod
    def load(cls, path: Path | str) -> "Palette":
        """Read a palette's JSON file. Raises PaletteError."""
        try:
            document = json.loads(Path(path).read_text())
        except OSError as error:
            raise PaletteError(
                f"{path}: cannot be read ({error.strerror}); give a palette's file"
            ) from error
        except ValueError as error:
            raise PaletteError(f"{path}: not JSON ({error}); give a palette's file") from error
        return cls.from_json(document, str(path))


def _nearest(points: NDArray[np.float32], centers: NDArray[np.float32]) -> NDArray[np.int64]:
    """The nearest center of each point. |p - c|^2 - |p|^2 = |c|^2 - 2 p.c orders the centers."""
    middle = centers.mean(axis=0)  # small numbers keep apart what lies close together
    centers = centers - middle
    squares = (centers**2).sum(axis=1)
    rows = max(1, CHUNK // len(centers))
    parts = [
        (squares - (points[start : start + rows] - middle) @ (2 * centers.T)).argmin(axis=1)
        for start in range(0, len(points), rows)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _spread(
    points: NDArray[np.float32], K: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """K-means++: each further start is drawn with probability in proportion to its distance^2."""
    centers = [points[random.integers(len(points))]]
    distance = ((points - centers[0]) ** 2).sum(axis=1, dtype=np.float64)
    for _ in range(K - 1):
        chosen = points[random.choice(len(points), p=distance / distance.sum())]
        centers.append(chosen)
        distance = np.minimum(distance, ((points - chosen) ** 2).sum(axis=1, dtype=np.float64))
    return np.stack(centers)
