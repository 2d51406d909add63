"""A batch: one result for each picture, whatever becomes of the others."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.batch import run
from limner.batch.plan import plan, plan_segments
from limner.batch.run import ColorResult, SegmentResult
from limner.errors import LimnerError, ModelError, PictureError
from limner.palette import Palette
from limner.picture import Picture, open_picture, write_strips
from limner.segment.segmentation import Segmentation
from limner.segment.segmenter import Segmenter


class Painting:
    """Grey as it came in, as RGB."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.width, self.height = picture.width, picture.height
        self.certainty = 0.123456
        self.colors_ignored = picture.bands == 3

    def save(self, path: Path, quality: int, overwrite: bool) -> None:
        strips = (np.stack([strip] * 3, axis=-1) for strip in self.picture.strips())
        write_strips(path, self.width, self.height, strips, None, quality, overwrite)

    def certainty_picture(self) -> np.ndarray:
        return np.full((700, 90, 3), 200, np.uint8)

    def compare_picture(self) -> np.ndarray:
        return np.full((700, 180, 3), 100, np.uint8)


class Painter:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def colorize(self, path: Path) -> Painting:
        self.seen.append(path.name)
        if path.name == "model.png":
            raise ModelError("the model broke down; check it")
        if path.name == "mistake.png":
            raise ZeroDivisionError
        if path.name == "stop.png":
            raise KeyboardInterrupt
        return Painting(open_picture(path))


def folder_of(tmp_path: Path, *names: str) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in names:
        Image.fromarray(np.full((20, 30), 90, np.uint8)).save(folder / name)
    return folder


def results(folder: Path, out: Path, **options: object) -> Iterator[ColorResult]:
    beside = {key: True for key in options if key in ("certainty", "compare")}
    rest = {key: value for key, value in options.items() if key not in beside}
    return run.color(plan([folder], out, **beside), Painter(), **rest)  # type: ignore[arg-type]


def test_each_picture_has_its_result_in_order(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "b.png", "a.jpg")
    first, second = results(folder, tmp_path / "out")
    assert (first.input.name, second.input.name) == ("a.jpg", "b.png")
    assert first.output == tmp_path / "out" / "a.jpg"
    assert first.output.exists()
    assert (first.width, first.height, first.error) == (30, 20, None)
    assert first.certainty == 0.1235
    assert first.seconds >= 0


def test_the_json_of_a_result_has_the_promised_keys() -> None:
    keys = ["input", "output", "width", "height", "seconds", "certainty", "error"]
    good = ColorResult(Path("a.jpg"), Path("out/a.jpg"), 3, 2, 0.5, 0.25, colors_ignored=True)
    assert list(good.to_json()) == keys
    assert list(good.to_json().values()) == ["a.jpg", "out/a.jpg", 3, 2, 0.5, 0.25, None]
    bad = ColorResult(Path("a.jpg"), error="a.jpg: broken").to_json()
    assert list(bad.values()) == ["a.jpg", None, None, None, 0.0, None, "a.jpg: broken"]


def test_a_bad_picture_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a.png", "model.png", "z.png")
    (folder / "empty.png").write_bytes(b"")
    errors = [result.error for result in results(folder, tmp_path / "out")]
    assert [error is None for error in errors] == [True, False, False, True]
    assert "empty.png" in str(errors[1])
    assert errors[2] == "the model broke down; check it"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "z.png"]


def test_a_name_that_is_too_long_is_that_pictures_error(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a.png", 245 * "b" + ".png")
    missing = tmp_path / (300 * "x" + ".png")
    jobs = plan([missing, folder], tmp_path / "out", compare=True)
    painted = list(run.color(jobs, Painter()))  # type: ignore[arg-type]
    errors = [result.error for result in painted]
    assert "x.png: cannot be read (File name too long)" in str(errors[0])
    assert errors[1] is None
    assert "cannot be written (File name too long)" in str(errors[2])


@pytest.mark.parametrize(
    ("name", "kind"), [("mistake.png", ZeroDivisionError), ("stop.png", KeyboardInterrupt)]
)
def test_anything_else_ends_the_run(name: str, kind: type[BaseException], tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a.png", name, "z.png")
    finished: list[object] = []
    with pytest.raises(kind):
        finished.extend(results(folder, tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_an_existing_output_is_that_pictures_error_before_it_is_painted(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a.png", "b.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_text("kept")
    painter = Painter()
    jobs = plan([folder], tmp_path / "out")
    first, second = run.color(jobs, painter)  # type: ignore[arg-type]
    assert "exists" in str(first.error)
    assert "--overwrite" in str(first.error)
    assert second.error is None
    assert painter.seen == ["b.png"]
    assert (tmp_path / "out" / "a.png").read_text() == "kept"
    assert all(result.error is None for result in results(folder, tmp_path / "out", overwrite=True))
    assert (tmp_path / "out" / "a.png").read_bytes().startswith(b"\x89PNG")


def test_an_existing_picture_beside_the_result_is_an_error_too(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.compare.png").write_text("kept")
    (only,) = results(folder, tmp_path / "out", compare=True)
    assert "a.compare.png" in str(only.error)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.compare.png"]


def test_certainty_and_compare_are_pngs_beside_the_result(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a.jpg")
    (only,) = results(folder, tmp_path / "out", certainty=True, compare=True)
    assert only.error is None
    for name, size in (("a.certainty.png", (90, 700)), ("a.compare.png", (180, 700))):
        with Image.open(tmp_path / "out" / name) as image:
            assert (image.format, image.size) == ("PNG", size)


def test_quality_reaches_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    Image.fromarray(noise).save(folder / "a.jpg", quality=100)
    list(results(folder, tmp_path / "low", quality=30))
    list(results(folder, tmp_path / "high", quality=95))
    low, high = ((tmp_path / name / "a.jpg").stat().st_size for name in ("low", "high"))
    assert low < high / 2


def test_a_place_that_cannot_be_written_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a.png")
    (tmp_path / "file").write_text("")
    painter = Painter()
    with pytest.raises(LimnerError, match="cannot be made"):
        list(run.color(plan([folder], tmp_path / "file" / "out"), painter))  # type: ignore[arg-type]
    assert painter.seen == []


Make = Callable[..., str]  # the fixture `segmenting`


def segmented(model: str, folder: Path, out: Path, overwrite: bool = False) -> list[SegmentResult]:
    jobs = plan_segments([folder], out)
    return list(run.segment(jobs, Segmenter(model), overwrite=overwrite))


def test_the_json_of_a_segmented_picture_has_the_promised_keys(
    segmenting: Make, labels: Palette, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    classes = np.array([[1, 1, 0], [1, 1, 2]]).repeat(16, axis=0).repeat(16, axis=1)
    Image.fromarray(labels.swatches()[classes]).save(tmp_path / "in" / "a.png")
    (only,) = segmented(segmenting(), tmp_path / "in", tmp_path / "out")
    document = only.to_json()
    seconds = document.pop("seconds")
    assert isinstance(seconds, float) and seconds >= 0
    assert document == {
        "input": str(tmp_path / "in" / "a.png"),
        "overlay": str(tmp_path / "out" / "a.overlay.png"),
        "mask": str(tmp_path / "out" / "a.mask.png"),
        "width": 48,
        "height": 32,
        "classes": {"cat": 0.6667, "background": 0.1667, "dog": 0.1667},
        "error": None,
    }
    with Image.open(document["mask"]) as mask:
        assert (mask.mode, mask.size) == ("P", (48, 32))
        assert np.array_equal(np.asarray(mask), classes)
    with Image.open(document["overlay"]) as overlay:
        assert overlay.format == "PNG"
    keys = ["input", "overlay", "mask", "width", "height", "seconds", "classes", "error"]
    bad = SegmentResult(Path("a.jpg"), error="a.jpg: broken").to_json()
    assert list(bad) == list(only.to_json()) == keys
    assert list(bad.values()) == ["a.jpg", None, None, None, None, 0.0, None, "a.jpg: broken"]


def test_a_bad_picture_does_not_stop_the_rest_from_being_segmented(
    segmenting: Make, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, "a.png", "z.png")
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:60])
    first, torn, last = segmented(segmenting(), folder, tmp_path / "out")
    assert (first.error, last.error) == (None, None)
    assert "b.png: cut short" in str(torn.error)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a.mask.png", "a.overlay.png", "z.mask.png", "z.overlay.png"]


@pytest.mark.parametrize("there", ["a.overlay.png", "a.mask.png"])
def test_no_segment_is_overwritten_unasked(there: str, segmenting: Make, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a.png", "b.png")
    out = tmp_path / "out"
    out.mkdir()
    (out / there).write_text("kept")
    first, second = segmented(segmenting(), folder, out)
    assert there in str(first.error) and "--overwrite" in str(first.error)
    assert second.error is None
    assert (out / there).read_text() == "kept"
    assert len(list(out.iterdir())) == 3  # of `a` nothing was written
    assert all(r.error is None for r in segmented(segmenting(), folder, out, overwrite=True))
    assert (out / there).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("failing", ["save_mask", "save_overlay"])
@pytest.mark.parametrize("error", [PictureError("the disk is full"), KeyboardInterrupt()])
def test_an_overlay_and_its_mask_are_written_both_or_neither(
    failing: str, error: BaseException, segmenting: Make, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder, out = folder_of(tmp_path, "a.png"), tmp_path / "out"

    def fail(*_: object, **more: object) -> None:
        raise error

    def attempt(overwrite: bool) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Segmentation, failing, fail)
            if isinstance(error, PictureError):
                (only,) = segmented(segmenting(), folder, out, overwrite)
                assert only.error == "the disk is full"
            else:
                with pytest.raises(KeyboardInterrupt):
                    segmented(segmenting(), folder, out, overwrite)

    attempt(overwrite=False)
    assert list(out.iterdir()) == []
    (again,) = segmented(segmenting(), folder, out)
    assert again.error is None
    attempt(overwrite=True)
    assert len(list(out.iterdir())) == 2


def test_what_is_no_error_of_a_picture_ends_the_run(
    segmenting: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Segmenter, "segment", stop)
    with pytest.raises(KeyboardInterrupt):
        segmented(segmenting(), folder_of(tmp_path, "a.png"), tmp_path / "out")
