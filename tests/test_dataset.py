"""Sets are found by name and by path; CIFAR-10 is read from its official binary format."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from limner.dataset import CIFAR_CLASSES, find, locate, pictures_in, terms_of
from limner.errors import DataError, SplitError

DATA = Path(__file__).parent / "data"
HORSE = 7


@pytest.fixture(autouse=True)
def sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_DATA", str(DATA))


def refused(spec: str | Path, split: str) -> str:
    """The one line that says why."""
    with pytest.raises(DataError) as error:
        find(str(spec), split)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    return message


def album(folder: Path, *names: str) -> Path:
    """A folder of small pictures with these names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), (len(name), 0, 0)).save(folder / name)
    return folder


# Folders


def test_a_name_is_a_set_under_limner_data() -> None:
    train, val = find("sample", "train"), find("sample", "val")
    assert (train.name, train.split, len(train)) == ("sample", "train", 4)
    names = ["astronaut.jpg", "cat.png", "coffee.webp", "rocket.jpg"]
    assert [file.name for file in train.files] == names
    assert train.images is None
    assert all(file.is_file() for file in train.files)
    assert [file.name for file in val.files] == ["cat.webp", "flag.png"]


def test_a_path_gives_the_same_pictures_as_its_name() -> None:
    assert find(str(DATA / "sample"), "val").files == find("sample", "val").files


def test_without_limner_data_sets_lie_in_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LIMNER_DATA")
    monkeypatch.chdir(tmp_path)
    album(tmp_path / "data" / "mine" / "val", "a.png")
    assert len(find("mine", "val")) == 1


def test_any_folder_inside_a_set_is_a_split(tmp_path: Path) -> None:
    folder = album(tmp_path, "train/a.jpg", "val_soft/b.jpg", "val_soft/c.jpg")
    assert len(find(str(folder), "val_soft")) == 2
    assert "train" in refused(folder, "val")


def test_a_folder_without_splits_is_read_whole(tmp_path: Path) -> None:
    folder = album(tmp_path, "b.JPG", "a.jpeg", "d.tif", "c.TIFF", "e.webp", "f.png")
    (folder / "notes.txt").write_text("not a picture")
    (folder / ".hidden.jpg").write_bytes(b"")
    for split in ("train", "val"):
        found = find(str(folder), split)
        assert found.split == "whole"
        assert [file.name for file in found.files] == [
            "a.jpeg", "b.JPG", "c.TIFF", "d.tif", "e.webp", "f.png",
        ]  # fmt: skip


def test_a_mask_beside_its_picture_is_no_photograph(tmp_path: Path) -> None:
    folder = album(tmp_path, "horse.webp", "horse.png", "road.jpg", "road.PNG", "sky.png")
    found = find(str(folder), "train")
    assert [file.name for file in found.files] == ["horse.webp", "road.jpg", "sky.png"]


def test_what_holds_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert "no picture" in refused(tmp_path, "train")
    (tmp_path / "val").mkdir()
    assert "no picture" in refused(tmp_path, "val")


def test_a_folder_is_located_by_name_and_by_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert locate("sample") == DATA / "sample"
    assert locate(str(DATA / "sample")) == DATA / "sample"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sample").mkdir()
    assert locate("sample") == DATA / "sample"  # the set before the folder
    assert locate("./sample") == Path("sample")
    for name in ("", "nobodys", str(tmp_path / "nobodys")):
        with pytest.raises(DataError, match="no folder of that name"):
            locate(name)


def test_the_pictures_of_one_folder_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = album(tmp_path, "b.webp", "b.png", "a.JPG", "below/c.jpg")
    (folder / "notes.txt").write_text("not a picture")
    assert pictures_in(folder) == (folder / "a.JPG", folder / "b.webp")
    with pytest.raises(DataError, match="holds no picture"):
        pictures_in(album(tmp_path / "other", "below/c.jpg"))
    with pytest.raises(DataError, match="cannot be read"):
        pictures_in(tmp_path / "gone")


def test_terms_are_known_of_the_sets_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_DATA", str(tmp_path / "sets"))
    for folder in (tmp_path / "sets" / "voc", tmp_path / "voc", tmp_path / "sets" / "mine"):
        folder.mkdir(parents=True)
        known = folder == tmp_path / "sets" / "voc"
        assert ("PASCAL VOC 2012" in terms_of(folder)) == known
        assert ("unknown" in terms_of(folder)) != known


def test_an_unknown_name_is_refused_with_what_to_do() -> None:
    message = refused("photographs-of-nobody", "train")
    assert message.startswith("photographs-of-nobody: ")
    assert str(DATA) in message
    assert "make data" in message


def test_a_name_that_no_folder_can_have_is_refused(tmp_path: Path) -> None:
    assert "no folder of that name" in refused(300 * "x", "train")
    assert find(str(album(tmp_path, "a.png")), 300 * "x").split == "whole"


def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", forbid)
    assert f"{tmp_path}: cannot be read (Permission denied)" in refused(tmp_path, "train")


def test_a_split_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    folder = album(tmp_path, "train/a.jpg")
    (folder / "val").mkdir()
    with pytest.raises(SplitError, match="it has train, val"):
        find(str(folder), "test")
    with pytest.raises(DataError) as damaged:
        find(str(folder), "val")
    assert not isinstance(damaged.value, SplitError)
    with pytest.raises(SplitError):
        find("cifar10", "other")


def test_only_cifar_has_categories() -> None:
    assert "sample:horse" in refused("sample:horse", "train")


def test_terms_go_with_every_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Krizhevsky" in find("cifar10", "val").terms
    assert "Krizhevsky" in find(str(DATA / "cifar-10-batches-bin"), "val").terms
    monkeypatch.setenv("LIMNER_DATA", str(tmp_path))
    for name in ("photos", "early", "voc", "camvid"):
        folder = album(tmp_path / name, "a.jpg")
        for spec in (name, str(folder), f"{folder}/../{name}"):
            assert "unknown" not in find(spec, "train").terms
    assert "public domain" in find("early", "train").terms
    assert "unknown" in find(str(album(tmp_path / "mine", "a.jpg")), "train").terms


@pytest.mark.parametrize("name", ["photos", "early", "cifar-10-batches-bin"])
def test_a_folder_of_your_own_has_no_terms_of_a_sets(tmp_path: Path, name: str) -> None:
    if name.startswith("cifar"):
        cifar(tmp_path / name, data_batch_1=records([7], 0))
    else:
        album(tmp_path / name, "a.jpg")
    assert find(str(tmp_path / name), "train").terms == "terms unknown: a folder of your own"


def test_a_name_is_the_set_before_it_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_DATA", str(tmp_path / "sets"))
    monkeypatch.chdir(tmp_path)
    album(tmp_path / "early", "mine.png")
    assert [file.name for file in find("early", "val").files] == ["mine.png"]
    album(tmp_path / "sets" / "early", "theirs.png")
    assert [file.name for file in find("early", "val").files] == ["theirs.png"]
    for spec in ("./early", "early/", str(tmp_path / "early")):
        found = find(spec, "val")
        assert [file.name for file in found.files] == ["mine.png"]
        assert "unknown" in found.terms
    refused("", "val")
    with pytest.raises(DataError, match="no picture"):
        find("..", "val")  # the folder above this one, and not the one above LIMNER_DATA


# CIFAR-10


def records(labels: list[int], seed: int) -> NDArray[np.uint8]:
    table = np.random.default_rng(seed).integers(0, 256, (len(labels), 3073)).astype(np.uint8)
    table[:, 0] = labels
    return table


def cifar(folder: Path, **files: NDArray[np.uint8]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in files.items():
        (folder / f"{name}.bin").write_bytes(table.tobytes())
    return folder


def test_horses_are_the_default_and_val_is_the_test_batch() -> None:
    train, val = find("cifar10", "train"), find("cifar10", "val")
    assert (len(train), len(val)) == (31, 8)
    assert train.images is not None
    assert train.images.shape == (31, 32, 32, 3)
    assert train.images.dtype == np.uint8
    assert train.name == "cifar10:horse"
    assert train.fingerprint() == find("cifar10:horse", "train").fingerprint()
    assert val.fingerprint() == find("cifar10:horse", "test").fingerprint()
    assert (len(find("cifar10:all", "train")), len(find("cifar10:all", "val"))) == (40, 10)
    assert len(find("cifar10:cat", "train")) == 1


def test_a_record_is_a_label_and_the_red_green_and_blue_planes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The official layout (Krizhevsky 2009), byte by byte, in the order of files and records."""
    one, two, test = records([7, 0, 7], 0), records([3, 7], 1), records([7], 2)
    cifar(tmp_path / "cifar-10-batches-bin", data_batch_2=two, data_batch_1=one, test_batch=test)
    monkeypatch.setenv("LIMNER_DATA", str(tmp_path))
    images = find("cifar10", "train").images
    assert images is not None
    rows = [one[0], one[2], two[1]]
    assert len(images) == len(rows)
    for image, row in zip(images, rows, strict=True):
        for y, x in ((0, 0), (0, 1), (1, 0), (31, 31), (13, 29)):
            for channel in range(3):
                assert image[y, x, channel] == row[1 + 1024 * channel + 32 * y + x]
    every = find("cifar10:all", "train").images
    assert every is not None
    assert len(every) == 5


def test_every_category_has_its_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = records(list(range(10)), 0)
    cifar(tmp_path / "cifar-10-batches-bin", data_batch_1=table)
    monkeypatch.setenv("LIMNER_DATA", str(tmp_path))
    official = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    assert list(CIFAR_CLASSES) == official
    for label, category in enumerate(official):
        images = find(f"cifar10:{category}", "train").images
        assert images is not None
        assert np.array_equal(images[0, ..., 0].ravel(), table[label, 1:1025])


def test_a_folder_of_binary_files_is_cifar_by_its_path(tmp_path: Path) -> None:
    folder = cifar(tmp_path / "mine", test_batch=records([7, 8, 7], 0))
    assert len(find(str(folder), "val")) == 2
    assert len(find(f"{folder}:ship", "val")) == 1
    assert "data_batch_1.bin" in refused(folder, "train")


@pytest.mark.parametrize("missing", [1, 3000, 3072])
def test_a_file_cut_short_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    folder = cifar(tmp_path / "cifar-10-batches-bin", data_batch_1=records([7, 7], 0))
    file = folder / "data_batch_1.bin"
    file.write_bytes(file.read_bytes()[:-missing])
    monkeypatch.setenv("LIMNER_DATA", str(tmp_path))
    assert str(file) in refused("cifar10", "train")


def test_what_cifar_does_not_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "airplane" in refused("cifar10:plane", "train")  # lists the categories
    assert "train" in refused("cifar10", "val_soft")
    assert "truck" in refused("cifar10:truck", "val")  # none in the sample's test batch
    monkeypatch.setenv("LIMNER_DATA", str(tmp_path))
    message = refused("cifar10", "train")
    assert "make data" in message
    assert "torchvision" in message
    (tmp_path / "cifar-10-batches-bin").mkdir()
    assert "data_batch_1.bin" in refused("cifar10", "train")
    (tmp_path / "cifar-10-batches-bin" / "data_batch_1.bin").write_bytes(b"")
    assert "cifar-10-batches-bin" in refused("cifar10", "train")


def test_a_damaged_download_of_torchvision_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torchvision")
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"cut")
    monkeypatch.setenv("LIMNER_DATA", str(tmp_path))
    assert "cifar-10-batches-py: incomplete or damaged" in refused("cifar10", "train")


# Fingerprints


def test_the_files_are_read_once(tmp_path: Path) -> None:
    folder = album(tmp_path, "a.png")
    found = find(str(folder), "train")
    first = found.fingerprint()
    (folder / "a.png").unlink()
    assert found.fingerprint() == first
    with pytest.raises(DataError, match=r"a\.png: no|a\.png: cannot be read"):
        found.__class__("mine", "train", found.files).fingerprint()


def test_a_fingerprint_changes_with_any_byte_name_and_order(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(DATA / "sample" / "train", tmp_path / "copy"))
    first = find(str(folder), "train").fingerprint()
    assert first == find("sample", "train").fingerprint()  # wherever it lies
    assert len(first) == 16
    assert int(first, 16) >= 0
    seen = {first}

    file = folder / "cat.png"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    seen.add(find(str(folder), "train").fingerprint())
    file.write_bytes(content)
    file.rename(folder / "cau.png")  # which keeps its place
    seen.add(find(str(folder), "train").fingerprint())
    (folder / "cau.png").unlink()
    seen.add(find(str(folder), "train").fingerprint())
    file.write_bytes((folder / "rocket.jpg").read_bytes())
    (folder / "rocket.jpg").write_bytes(content)  # the same contents under swapped names
    seen.add(find(str(folder), "train").fingerprint())
    assert len(seen) == 5


def test_the_fingerprint_of_records_changes_with_a_byte(tmp_path: Path) -> None:
    table = records([7, 7], 0)
    before = find(str(cifar(tmp_path, data_batch_1=table)), "train").fingerprint()
    assert find(str(cifar(tmp_path, data_batch_1=table)), "train").fingerprint() == before
    table[1, 2000] ^= 1
    assert find(str(cifar(tmp_path, data_batch_1=table)), "train").fingerprint() != before
    turned = find(str(cifar(tmp_path, data_batch_1=table[::-1])), "train").fingerprint()
    assert turned != find(str(cifar(tmp_path, data_batch_1=table)), "train").fingerprint()
