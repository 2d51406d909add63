"""A set with a model's own masks: what is sure is said, the rest is not, and nobody takes it for a
set that a person made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from limner.dataset import Dataset, find
from limner.errors import DataError, LimnerError, ModelError
from limner.masks.labels import IGNORED
from limner.masks.png import read_mask
from limner.masks.sets import find_labelled
from limner.palette import Palette
from limner.segment import label as module
from limner.segment.label import (
    KNOWN,
    LEAST,
    SHOWN,
    STEPS,
    Labelling,
    in_turns,
    label,
    surely,
    thresholds,
)
from limner.segment.segmenter import Segmenter

Make = Callable[..., str]  # the fixture `segmenting`
CAT, DOG, COW = 1, 2, 3
DOUBT = 9  # painted half cat, half dog


def paint(path: Path, classes: list[list[int]], labels: Palette) -> np.ndarray:
    """A photograph of squares of 8 pixels in the classes' colors; its mask, DOUBT as 255."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colors = np.zeros((256, 3), np.uint8)
    colors[: len(labels)] = labels.swatches()
    colors[DOUBT] = labels.colors[[CAT, DOG]].mean(axis=0)
    mask = np.kron(np.array(classes, np.uint8), np.ones((8, 8), np.uint8))
    Image.fromarray(colors[mask]).save(path)
    mask[mask == DOUBT] = IGNORED
    return mask


@pytest.fixture
def labelled(tmp_path: Path, segmenting: Make) -> Callable[..., Labelling]:
    """Label the photographs in tmp_path/photos into tmp_path/set."""

    def run(most: int = 0, photos: Dataset | None = None, **changes: Any) -> Labelling:
        found = photos or find(str(tmp_path / "photos"), "train")
        segmenter = Segmenter(segmenting(license="of the model", **changes))
        return label([segmenter], found, tmp_path / "set", sure=0.9, most=most)

    return run


def test_what_is_sure_is_said_and_the_rest_is_not(
    tmp_path: Path, labels: Palette, labelled: Callable[..., Labelling]
) -> None:
    truth = paint(tmp_path / "photos" / "a.png", [[0, CAT, CAT], [DOG, DOUBT, CAT]], labels)
    found = labelled()
    assert (found.pictures, found.showing.tolist(), found.problems) == (1, [1, 1, 1, 0], [])
    made = find_labelled(str(tmp_path / "set"), "train")
    assert made.guesses
    assert made.labels == labels
    assert np.array_equal(read_mask(made.masks[0], labels), truth)
    (copy,) = made.pictures.files
    assert copy.read_bytes() == (tmp_path / "photos" / "a.png").read_bytes()
    assert made.pictures.terms == (
        "terms unknown: a folder of your own; masks: guesses of nearest (of the model)"
    )


def test_a_picture_of_doubt_is_left_out(
    tmp_path: Path, labels: Palette, labelled: Callable[..., Labelling]
) -> None:
    paint(tmp_path / "photos" / "a.png", [[0, DOUBT, DOUBT]], labels)
    with pytest.raises(DataError, match=r"of no picture is half sure \(at least 0\.9\); "):
        labelled()
    assert not (tmp_path / "set").exists()
    paint(tmp_path / "photos" / "b.png", [[0, CAT, DOUBT]], labels)
    assert labelled().pictures == 1


def test_a_class_that_the_training_favored_is_not_sure_for_that(
    tmp_path: Path, labels: Palette, labelled: Callable[..., Labelling]
) -> None:
    truth = paint(tmp_path / "photos" / "a.png", [[0, CAT, DOG], [0, DOG, DOG]], labels)
    weights = (1.0, 1e6, 1.0, 1.0)  # a cat's color says 300,000 to 1 that it is one
    assert labelled(class_weights=weights).showing.tolist() == [1, 0, 1, 0]
    made = find_labelled(str(tmp_path / "set"), "train")
    truth[truth == CAT] = IGNORED
    assert np.array_equal(read_mask(made.masks[0], labels), truth)


def test_classes_choose_in_turn(
    tmp_path: Path, labels: Palette, labelled: Callable[..., Labelling]
) -> None:
    for index in range(6):
        paint(tmp_path / "photos" / f"cat{index}.png", [[CAT, CAT, CAT, CAT]], labels)
    paint(tmp_path / "photos" / "dog.png", [[DOG, 0, 0, 0]], labels)
    paint(tmp_path / "photos" / "cow.png", [[COW, 0, 0, 0]], labels)
    assert labelled(most=4).showing[[CAT, DOG, COW]].tolist() == [2, 1, 1]


def test_the_mean_of_several_models_decides(
    tmp_path: Path, labels: Palette, segmenting: Make
) -> None:
    """Two of three take cats for dogs; what all say alike is the rest."""
    swapped = Palette("rgb", labels.colors[[0, DOG, CAT, COW]], labels.names)
    truth = paint(tmp_path / "photos" / "a.png", [[0, CAT, CAT], [0, COW, CAT]], labels)
    photos = find(str(tmp_path / "photos"), "train")
    wrong, right = Segmenter(segmenting(swapped)), Segmenter(segmenting(labels))
    found = label([wrong, right, wrong], photos, tmp_path / "set", sure=0.8, most=0)
    made = find_labelled(str(tmp_path / "set"), "train")
    said = np.where(truth == CAT, DOG, truth)
    assert np.array_equal(read_mask(made.masks[0], labels), said)
    # Of a dog the models are two thirds sure at most, and that is asked.
    np.testing.assert_allclose(found.sure, [0.8, 0.8, 0.66, 0.8])
    assert "guesses of nearest (); nearest (); nearest ()" in made.pictures.terms


def test_models_of_other_classes_or_sizes_are_refused(
    tmp_path: Path, labels: Palette, segmenting: Make
) -> None:
    paint(tmp_path / "photos" / "a.png", [[0, CAT]], labels)
    photos = find(str(tmp_path / "photos"), "train")
    first = Segmenter(segmenting())
    renamed = Palette("rgb", labels.colors, ("background", "cat", "dog", "sheep"))
    cases = (
        (Segmenter(segmenting(renamed)), "does not say the same classes as nearest"),
        (Segmenter(segmenting(working_size=32)), "models that see pictures at one size"),
    )
    for other, says in cases:
        with pytest.raises(ModelError, match=says):
            label([first, other], photos, tmp_path / "set", sure=0.9, most=0)


@given(
    seed=st.integers(0, 1000),
    n=st.integers(1, 5),
    K=st.integers(1, 4),
    sure=st.integers(0, 1000).map(lambda n: n / 1000),
)
def test_the_surer_half_of_a_class_is_said_or_all_that_is_sure(
    seed: int, n: int, K: int, sure: float
) -> None:
    random = np.random.default_rng(seed)
    beliefs = random.beta(4, random.uniform(0.5, 8), (n, K, 9)).astype(np.float32)
    hundredths = np.searchsorted(STEPS, beliefs, side="right") - 1
    counts = np.zeros((n, K, len(STEPS)), np.uint32)
    for place in np.ndindex(n, K):
        np.add.at(counts[place], hundredths[place], 1)
    asked = thresholds(counts, sure)
    whole = int(np.ceil(round(sure * 100, 4)))
    for k, threshold in enumerate(asked):
        said = (beliefs[:, k] >= STEPS[threshold]).mean()
        if threshold < whole:  # less is asked than was wished: no more is given up than needs be
            assert threshold >= LEAST
            assert said >= 0.5 or threshold == LEAST
            assert (hundredths[:, k] > threshold).mean() < 0.5
        else:
            assert threshold == whole
            assert said >= 0.5 or whole <= LEAST
    shares = surely(counts, asked)
    assert (shares.sum(axis=1) <= 1 + 1e-9).all()
    assert shares[0, 0] == pytest.approx((beliefs[0, 0] >= STEPS[asked[0]]).sum() / (9 * K))


@given(
    seed=st.integers(0, 1000), n=st.integers(0, 30), K=st.integers(1, 5), most=st.integers(0, 30)
)
def test_turns_are_fair(seed: int, n: int, K: int, most: int) -> None:
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.full(K, 0.3), n) * random.uniform(0, 1, (n, 1))
    chosen = in_turns(shares, most)
    known = np.flatnonzero(shares.sum(axis=1) >= KNOWN)
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(known.tolist())
    if not most or len(known) <= most:
        assert len(chosen) == len(known)
        return
    assert len(chosen) <= most
    shown = shares >= SHOWN
    if most >= K:  # whatever class can be shown is shown
        assert np.array_equal(shown[chosen].any(axis=0), shown[known].any(axis=0))
    if shown[known].any(axis=1).all():  # no picture is left while another could be taken
        assert len(chosen) == most


def test_a_photograph_that_cannot_be_read_is_told(
    tmp_path: Path, labels: Palette, labelled: Callable[..., Labelling]
) -> None:
    paint(tmp_path / "photos" / "a.png", [[0, CAT]], labels)
    (tmp_path / "photos" / "b.jpg").write_bytes(b"no picture")
    found = labelled()
    assert found.pictures == 1
    assert len(found.problems) == 1
    assert "b.jpg" in found.problems[0]


def test_a_photograph_that_fails_late_is_left_out(
    tmp_path: Path, labels: Palette, segmenting: Make
) -> None:
    """After the first look at it, which all of them pass."""
    for name in "ab":
        paint(tmp_path / "photos" / f"{name}.png", [[0, CAT]], labels)
    photos = find(str(tmp_path / "photos"), "train")

    def run(*damaged: Path) -> Labelling:
        def cut(done: int, total: int) -> None:
            for path in damaged if done == total else ():
                path.write_bytes(path.read_bytes()[:60])

        segmenter = Segmenter(segmenting())
        return label([segmenter], photos, tmp_path / "set", sure=0.9, most=0, on_picture=cut)

    first, other = photos.files
    whole = first.read_bytes()
    with pytest.raises(DataError, match=r"can be read again; .*b\.png: cut short or damaged"):
        run(first, other)
    assert not (tmp_path / "set").exists()
    first.write_bytes(whole)
    other.write_bytes(whole)
    found = run(first)
    assert (found.pictures, found.showing.tolist()) == (1, [1, 1, 0, 0])
    (line,) = found.problems
    assert line.startswith(f"{first}: cut short or damaged")
    made = find_labelled(str(tmp_path / "set"), "train")
    assert [path.name for path in made.pictures.files] == ["000001-b.png"]


def test_two_photographs_of_one_stem_are_two_pictures(
    tmp_path: Path, labels: Palette, labelled: Callable[..., Labelling]
) -> None:
    paint(tmp_path / "photos" / "a.tif", [[0, CAT]], labels)
    paint(tmp_path / "photos" / "a.webp", [[0, DOG]], labels)
    assert labelled().pictures == 2
    assert len(find_labelled(str(tmp_path / "set"), "train")) == 2


def test_half_a_set_is_never_read(
    tmp_path: Path,
    labels: Palette,
    labelled: Callable[..., Labelling],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(path: Path, *rest: object) -> None:
        raise LimnerError(f"{path}: cannot be written (No space left on device)")

    paint(tmp_path / "photos" / "a.png", [[0, CAT]], labels)
    monkeypatch.setattr(module, "write_mask", full)
    with pytest.raises(LimnerError, match="No space left"):
        labelled()
    with pytest.raises(DataError, match=r"no picture|no mask|no classes"):
        find_labelled(str(tmp_path / "set"), "train")
    with pytest.raises(DataError, match="holds something already; choose another folder"):
        labelled()


def test_pictures_without_files_are_refused(labelled: Callable[..., Labelling]) -> None:
    cifar = Dataset("cifar10:horse", "train", images=np.zeros((1, 32, 32, 3), np.uint8))
    with pytest.raises(DataError, match="pictures without files; give a folder of photographs"):
        labelled(photos=cifar)


def test_a_folder_that_cannot_be_made_is_one_line(
    tmp_path: Path, labels: Palette, segmenting: Make
) -> None:
    paint(tmp_path / "photos" / "a.png", [[0, CAT]], labels)
    (tmp_path / "file").write_text("")
    photos = find(str(tmp_path / "photos"), "train")
    with pytest.raises(DataError, match=r"cannot be made a folder \(Not a directory\)"):
        label([Segmenter(segmenting())], photos, tmp_path / "file" / "set", sure=0.9, most=0)
