"""Pictures and masks are paired in every layout, and what does not pair is named."""

from collections.abc import Callable
from pathlib import Path

import pytest
from numpy.typing import ArrayLike

from limner.errors import DataError, SplitError
from limner.masks.labels import voc_labels
from limner.masks.sets import Pairs, find_labelled, find_pairs, labels_of

WriteMask = Callable[[Path, ArrayLike], Path]
WritePicture = Callable[..., Path]
MakeKit = Callable[..., Path]


@pytest.fixture(autouse=True)
def named_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """LIMNER_DATA, empty."""
    folder = tmp_path / "named"
    folder.mkdir()
    monkeypatch.setenv("LIMNER_DATA", str(folder))
    return folder


@pytest.fixture
def pair(write_picture: WritePicture, write_numbers: WriteMask) -> Callable[..., None]:
    """Write pictures and the mask of each: `pair(images, masks, "a", "b")`."""

    def write(images: Path, masks: Path, *names: str) -> None:
        for number, name in enumerate(names):
            write_picture(images / f"{name}.webp")
            write_numbers(masks / f"{name}.png", number)

    return write


def names(pairs: Pairs) -> list[tuple[str, str]]:
    return [(p.name, m.name) for p, m in zip(pairs.pictures, pairs.masks, strict=True)]


def refused(call: Callable[[], object]) -> str:
    """The one line that says why."""
    with pytest.raises(DataError) as error:
        call()
    message = str(error.value)
    assert len(message.splitlines()) == 1
    return message


def classes(folder: Path, text: str = "none\ncat\ndog\n") -> Path:
    (folder / "classes.txt").write_text(text)
    return folder


# Layouts


def places(root: Path, layout: str, split: str) -> tuple[Path, Path]:
    """Where a layout keeps the pictures and the masks of a split."""
    return {
        "beside": (root / split, root / split),
        "split/images": (root / split / "images", root / split / "masks"),
        "images/split": (root / "images" / split, root / "masks" / split),
        "whole beside": (root, root),
        "whole images": (root / "images", root / "masks"),
    }[layout]


@pytest.mark.parametrize("layout", ["beside", "split/images", "images/split"])
def test_each_split_has_its_pairs(tmp_path: Path, pair: Callable[..., None], layout: str) -> None:
    root = tmp_path / "mine"
    pair(*places(root, layout, "train"), "b", "a")
    pair(*places(root, layout, "val_soft"), "c")
    train = find_pairs(root, "train")
    assert train.split == "train"
    assert names(train) == [("a.webp", "a.png"), ("b.webp", "b.png")]
    assert {path.parent for path in train.pictures} == {places(root, layout, "train")[0]}
    assert {path.parent for path in train.masks} == {places(root, layout, "train")[1]}
    assert train.alone == ()
    assert names(find_pairs(root, "val_soft")) == [("c.webp", "c.png")]
    with pytest.raises(SplitError, match="no split 'test'; it has train") as error:
        find_pairs(root, "test")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("layout", ["whole beside", "whole images"])
def test_without_split_folders_a_set_is_read_whole(
    tmp_path: Path, pair: Callable[..., None], layout: str
) -> None:
    root = tmp_path / "mine"
    pair(*places(root, layout, ""), "b", "a")
    for split in ("train", "val"):
        pairs = find_pairs(root, split)
        assert pairs.split == "whole"
        assert names(pairs) == [("a.webp", "a.png"), ("b.webp", "b.png")]


def test_images_may_be_png_in_a_folder_of_their_own(
    tmp_path: Path, write_picture: WritePicture, write_numbers: WriteMask
) -> None:
    picture = write_picture(tmp_path / "train" / "images" / "a.png")
    mask = write_numbers(tmp_path / "train" / "masks" / "a.png", 1)
    pairs = find_pairs(tmp_path, "train")
    assert (pairs.pictures, pairs.masks, pairs.alone) == ((picture,), (mask,), ())


@pytest.mark.parametrize("lone", ["images", "masks"])
def test_one_of_the_two_folders_alone_is_no_layout(
    tmp_path: Path, pair: Callable[..., None], lone: str
) -> None:
    pair(*places(tmp_path, "beside", "train"), "a")
    (tmp_path / "train" / lone).mkdir()
    assert names(find_pairs(tmp_path, "train")) == [("a.webp", "a.png")]


def test_png_beside_png_is_refused(tmp_path: Path, write_picture: WritePicture) -> None:
    write_picture(tmp_path / "train" / "a.png")
    write_picture(tmp_path / "train" / "a_mask.png")
    assert "images/ and masks/" in refused(lambda: find_pairs(tmp_path, "train"))


def test_a_mask_may_end_in_capitals(
    tmp_path: Path, write_picture: WritePicture, write_numbers: WriteMask
) -> None:
    write_picture(tmp_path / "a.JPG")
    write_numbers(tmp_path / "a.PNG", 1)
    assert names(find_pairs(tmp_path, "train")) == [("a.JPG", "a.PNG")]
    assert find_pairs(tmp_path, "train").masks[0].is_file()


def test_a_mask_without_a_picture_and_a_picture_without_a_mask_are_told(
    tmp_path: Path, pair: Callable[..., None]
) -> None:
    images, masks = places(tmp_path, "whole images", "")
    pair(images, masks, "a", "b", "c")
    (images / "a.webp").unlink()
    (masks / "c.png").unlink()
    (masks / "._b.png").write_bytes(b"")  # what a Mac leaves behind
    (masks / "notes.txt").write_text("not a mask")
    pairs = find_pairs(tmp_path, "train")
    assert names(pairs) == [("b.webp", "b.png"), ("c.webp", "c.png")]
    assert [mask.is_file() for mask in pairs.masks] == [True, False]
    assert pairs.alone == (masks / "a.png",)


def test_a_split_without_a_folder_of_masks_has_none(
    tmp_path: Path, pair: Callable[..., None], write_picture: WritePicture
) -> None:
    pair(*places(tmp_path, "images/split", "val"), "a")
    write_picture(tmp_path / "images" / "train" / "b.jpg")
    classes(tmp_path)
    assert not find_pairs(tmp_path, "train").masks[0].is_file()
    assert "1 of 1 pictures have no mask" in refused(lambda: find_labelled(str(tmp_path), "train"))


@pytest.mark.parametrize("layout", ["beside", "split/images"])
def test_two_pictures_of_one_stem_are_refused(
    tmp_path: Path, pair: Callable[..., None], write_picture: WritePicture, layout: str
) -> None:
    images, masks = places(tmp_path, layout, "train")
    pair(images, masks, "a")
    write_picture(images / "a.jpg")
    message = refused(lambda: find_pairs(tmp_path, "train"))
    assert "a.webp" in message
    assert "a.jpg" in message


@pytest.mark.parametrize("layout", ["beside", "split/images", "whole images"])
def test_a_folder_without_pictures_is_refused(tmp_path: Path, layout: str) -> None:
    for folder in places(tmp_path, layout, "train"):
        folder.mkdir(parents=True, exist_ok=True)
    assert "holds no picture" in refused(lambda: find_pairs(tmp_path, "train"))


# The VOC development kit


@pytest.mark.parametrize("place", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_a_development_kit_is_found_at_every_height(
    tmp_path: Path, kit: MakeKit, place: str
) -> None:
    root = kit(tmp_path / "voc_root")
    pairs = find_pairs(root / place, "train")
    assert (pairs.split, pairs.alone) == ("train", ())
    expected = [("2007_000063.jpg", "2007_000063.png"), ("2007_000032.jpg", "2007_000032.png")]
    assert names(pairs) == expected  # the list's order
    assert all(path.is_file() for path in (*pairs.pictures, *pairs.masks))
    assert labels_of(root / place) == voc_labels()


def test_a_development_kit_gives_torchvisions_files(tmp_path: Path, kit: MakeKit) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    root = kit(tmp_path / "root")
    for split in ("train", "val"):
        theirs = datasets.VOCSegmentation(root, year="2012", image_set=split, download=False)
        pairs = find_pairs(root, split)
        assert [str(path) for path in pairs.pictures] == theirs.images
        assert [str(path) for path in pairs.masks] == theirs.masks


def test_the_newest_year_of_a_kit_counts(tmp_path: Path, kit: MakeKit) -> None:
    root = kit(kit(tmp_path / "root", "2007"), "2012")
    assert "VOC2012" in find_pairs(root, "train").pictures[0].parts


def test_a_list_that_is_not_there_or_empty_is_named(tmp_path: Path, kit: MakeKit) -> None:
    root = kit(tmp_path / "root")
    with pytest.raises(SplitError, match="no split 'test'; it has train, val"):
        find_pairs(root, "test")
    (root / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation" / "test.txt").write_text("\n")
    assert "test.txt: names no picture" in refused(lambda: find_pairs(root, "test"))


def test_a_kits_missing_mask_is_named(tmp_path: Path, kit: MakeKit) -> None:
    root = kit(tmp_path / "root")
    gone = root / "VOCdevkit" / "VOC2012" / "SegmentationClass" / "2007_000032.png"
    gone.unlink()
    message = refused(lambda: find_labelled(str(root), "train"))
    assert str(gone) in message
    assert "1 of 2 pictures have no mask" in message


# Labels


def test_labels_come_from_classes_txt(tmp_path: Path) -> None:
    assert labels_of(classes(tmp_path)).names == ("none", "cat", "dog")


def test_without_classes_txt_only_voc_has_labels(tmp_path: Path) -> None:
    message = refused(lambda: labels_of(tmp_path))
    assert str(tmp_path) in message
    assert "no classes.txt" in message
    (tmp_path / "voc").mkdir()
    assert labels_of(tmp_path / "voc") == voc_labels()
    classes(tmp_path / "voc", "nothing\neverything\n")
    assert labels_of(tmp_path / "voc").names == ("nothing", "everything")


def test_an_empty_classes_txt_is_no_voc(tmp_path: Path, kit: MakeKit) -> None:
    root = classes(kit(tmp_path / "root"), "")
    assert "0 classes" in refused(lambda: labels_of(root))


# Whole sets


def test_a_labelled_set_holds_pictures_masks_and_labels(
    named_sets: Path, pair: Callable[..., None]
) -> None:
    root = named_sets / "voc"
    pair(*places(root, "beside", "val"), "a", "b")
    found = find_labelled("voc", "val")
    assert len(found) == len(found.pictures) == 2
    assert (found.pictures.name, found.pictures.split) == ("voc", "val")
    assert [path.name for path in found.pictures.files] == ["a.webp", "b.webp"]
    assert [path.name for path in found.masks] == ["a.png", "b.png"]
    assert found.labels == voc_labels()
    assert "PASCAL VOC 2012" in found.pictures.terms
    assert find_labelled(str(root), "val").masks == found.masks


def test_a_set_of_ones_own_has_unknown_terms(tmp_path: Path, pair: Callable[..., None]) -> None:
    root = classes(tmp_path)
    pair(*places(root, "beside", "val"), "a")
    assert "unknown" in find_labelled(str(root), "val").pictures.terms


def test_the_first_missing_mask_is_named(tmp_path: Path, pair: Callable[..., None]) -> None:
    root = classes(tmp_path)
    pair(*places(root, "beside", "train"), "a", "b", "c")
    for name in ("b", "c"):
        (root / "train" / f"{name}.png").unlink()
    message = refused(lambda: find_labelled(str(root), "train"))
    assert "2 of 3 pictures have no mask" in message
    assert str(root / "train" / "b.png") in message
    assert f"limner data check {root}" in message


def test_a_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "no folder of that name" in refused(lambda: find_labelled("pets", "train"))


def test_a_fingerprint_changes_with_pictures_masks_and_labels(
    tmp_path: Path, pair: Callable[..., None], write_numbers: WriteMask, write_picture: WritePicture
) -> None:
    root = classes(tmp_path)
    pair(*places(root, "beside", "train"), "a", "b")

    def fingerprint() -> str:
        return find_labelled(str(root), "train").fingerprint()

    first = fingerprint()
    assert first == fingerprint()
    assert len(first) == 16
    assert int(first, 16) >= 0
    seen = {first}
    write_numbers(root / "train" / "a.png", 2)
    seen.add(fingerprint())
    write_picture(root / "train" / "b.webp", width=5)
    seen.add(fingerprint())
    classes(root, "none\ncat\nhorse\n")
    seen.add(fingerprint())
    classes(root, "none 0 0 0\ncat 1 1 1\nhorse 2 2 2\n")
    seen.add(fingerprint())
    assert len(seen) == 5
