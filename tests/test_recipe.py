"""A recipe is checked key by key before anything runs."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner import weights
from limner.errors import RecipeError
from limner.networks import NETWORKS
from limner.recipe import COLOR_KEYS, MASK_KEYS, Recipe

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.toml"))
SEGMENT: dict[str, Any] = {"steps": 1, "task": "segment", "size": 32}


def written(folder: Path, text: str) -> Path:
    file = folder / "mine.toml"
    file.write_text(text)
    return file


def refused(document: dict[str, Any]) -> str:
    """The one line that says why."""
    with pytest.raises(RecipeError) as error:
        Recipe.from_dict(document)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.name)
def test_every_recipe_that_limner_brings_loads(file: Path) -> None:
    recipe = Recipe.load(file)
    assert recipe.name == file.stem
    assert recipe.network in NETWORKS
    assert recipe.palette == "grid" or len(weights.palette(recipe.palette)) == 24
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_the_write_ups_recipe_is_as_it_says() -> None:
    for name in ("cnn", "unet"):
        recipe = Recipe.load(RECIPES[0].parent / f"{name}.toml")
        assert (recipe.network, recipe.k, recipe.NF) == (name, 3, 32)
        assert (recipe.optimizer, recipe.learning_rate, recipe.schedule) == (
            "adam",
            1e-3,
            "constant",
        )
        assert (recipe.batch, recipe.epochs, recipe.shuffle, recipe.seed) == (100, 25, False, 0)
        assert recipe.sets() == (("cifar10:horse", 1.0),)


def test_an_unknown_key_lists_the_keys(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as error:
        Recipe.load(written(tmp_path, "epochs = 1\nlerning_rate = 1e-3"))
    message = str(error.value)
    assert "'lerning_rate'" in message
    assert "mine.toml" in message
    for field in fields(Recipe):
        assert field.name in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("batch", "100", "whole number"),
        ("batch", 10.0, "whole number"),
        ("batch", True, "whole number"),
        ("k", "3", "whole number"),
        ("learning_rate", "fast", "number"),
        ("learning_rate", True, "number"),
        ("flip", 1, "true or false"),
        ("flip", "yes", "true or false"),
        ("name", 3, "word"),
        ("network", ["unet"], "word"),
        ("optimizer", "sgd", "adam or adamw"),
        ("schedule", 3, "constant or linear or cosine"),
        ("data", 3, "list of words"),
        ("data", ["a", 3], "list of words"),
        ("learn", {"all": 1}, "list of words"),
        ("task", "classify", "colorize or segment"),
        ("cache", "fp16", "none or fp32 or bf16"),
        ("cache", True, "none or fp32 or bf16"),
        ("loss_at", 4, "stride or full"),
        ("class_weights", "sqrt", "none or inverse or root"),
        ("views", "4", "whole number"),
        ("foreground", 3, "list of words"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(key: str, value: object, wanted: str) -> None:
    message = refused({"steps": 1, key: value})
    assert key in message
    assert repr(value) in message
    assert wanted in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch", 0), ("learning_rate", 0.0), ("learning_rate", -1.0),
        ("learning_rate", float("nan")), ("encoder_rate", 0.0), ("encoder_rate", float("inf")),
        ("learning_rate", float("inf")), ("zoom", 0.0), ("zoom", 1.5), ("zoom", float("nan")),
        ("tone", -0.1), ("tone", 2.0), ("size", -3), ("holdout", -1), ("ema", 1.0),
        ("ema", -0.1), ("weight_decay", -1.0), ("weight_decay", float("nan")), ("warmup", -1),
        ("validate", -1), ("seed", -1), ("data", []), ("learn", []),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_named(key: str, value: object) -> None:
    assert key in refused({"steps": 1, key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [("views", -1), ("size", -3), ("batch", 0), ("zoom", 0.0), ("data", []), ("learn", [])],
)
def test_to_segment_the_ranges_are_checked_too(key: str, value: object) -> None:
    assert key in refused({**SEGMENT, key: value})


@pytest.mark.parametrize(
    "lengths", [{}, {"epochs": 0}, {"epochs": 2, "steps": 2}, {"steps": -1}, {"epochs": -2}]
)
def test_exactly_one_of_epochs_and_steps_is_given(lengths: dict[str, int]) -> None:
    message = refused(dict(lengths))
    assert "epochs" in message
    assert "steps" in message
    assert Recipe.from_dict({"steps": 3}).steps == 3
    assert Recipe.from_dict({"epochs": 3, "steps": 0}).epochs == 3


def test_whole_numbers_pass_for_numbers_and_one_word_for_a_list() -> None:
    recipe = Recipe.from_dict({"steps": 1, "learning_rate": 1, "data": "photos", "learn": "out"})
    assert (recipe.learning_rate, type(recipe.learning_rate)) == (1.0, float)
    assert recipe.data == ("photos",)
    assert recipe.learn == ("out",)


def test_a_misspelt_argument_in_python_is_an_error_at_once() -> None:
    with pytest.raises(TypeError):
        Recipe(steps=1, lerning_rate=1)  # type: ignore[call-arg]
    with pytest.raises(FrozenInstanceError):
        Recipe(steps=1).learning_rate = 1.0  # type: ignore[misc]


def test_settings_replace_values(tmp_path: Path) -> None:
    file = written(
        tmp_path, 'network = "unet"\nlearning_rate = 1e-3\nepochs = 25\ndata = "cifar10"'
    )
    settings = [
        "network=cnn",
        "learning_rate=0.5",
        "k = 5",
        'data=["photos=9", "early"]',
        "flip=true",
        "size=32",
    ]
    recipe = Recipe.load(file, [*settings, 'name="two words"'])
    assert (recipe.network, recipe.learning_rate, recipe.k, recipe.flip) == ("cnn", 0.5, 5, True)
    assert recipe.sets() == (("photos", 9.0), ("early", 1.0))
    assert recipe.name == "two words"
    assert recipe.epochs == 25
    assert (
        Recipe.load(file, ["learning_rate=0.5", "learning_rate=0.25"]).learning_rate == 0.25
    )  # the last one counts


def test_steps_replace_epochs_and_epochs_steps(tmp_path: Path) -> None:
    file = written(tmp_path, "epochs = 25")
    recipe = Recipe.load(file, ["steps=7"])
    assert (recipe.epochs, recipe.steps) == (0, 7)
    recipe = Recipe.load(file, ["steps=7", "epochs=3"])
    assert (recipe.epochs, recipe.steps) == (3, 0)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("learning_rate", "key=value"),
        ("lerning_rate=1", "lerning_rate"),
        ("learning_rate=fast", "a number"),
        ("batch=", "batch"),
        ("=3", "unknown key"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, setting: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        Recipe.load(written(tmp_path, "steps = 1"), [setting])
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (("photos",), (("photos", 1.0),)),
        (("photos=9", "early=0.5"), (("photos", 9.0), ("early", 0.5))),
        (("cifar10:horse=2",), (("cifar10:horse", 2.0),)),
        (("a/folder of=mine=3",), (("a/folder of=mine", 3.0),)),
    ],
)
def test_sets_have_weights(entries: tuple[str, ...], expected: object) -> None:
    assert Recipe(steps=1, size=32, data=entries).sets() == expected


@pytest.mark.parametrize(
    "keys",
    [
        {"zoom": 0.5}, {"tone": 0.1}, {"data": ("photos=9", "early")},
        {"size": 32, "shuffle": False}, {"size": 32, "move": 2}, {"views": 2},
    ],
)  # fmt: skip
def test_a_key_without_effect_is_an_error(keys: dict[str, Any]) -> None:
    key = list(keys)[-1]
    with pytest.raises(RecipeError, match=f"{key} = .* has no effect with size = "):
        Recipe(steps=1, **keys)
    Recipe(steps=1, **{**keys, "size": 32 - keys.get("size", 0)})  # control: with the other size


ONLY_TO_SEGMENT = {
    "foreground": ["cat"], "loss_at": "full", "class_weights": "root",
}  # fmt: skip
ONLY_TO_COLORIZE = {"greys": 256, "palette": "grid", "scale": 2.0, "shift": -0.5}


def test_every_key_of_one_task_is_tried() -> None:
    assert set(ONLY_TO_SEGMENT) == set(MASK_KEYS)
    assert {*ONLY_TO_COLORIZE, "move"} == set(COLOR_KEYS)  # move: crops alone refuse it


@pytest.mark.parametrize("key", ONLY_TO_SEGMENT)
def test_keys_of_masks_have_no_effect_on_colors(key: str) -> None:
    change = {key: ONLY_TO_SEGMENT[key]}
    message = refused({"steps": 1, "size": 32, **change})
    assert f"{key} = " in message
    assert "no effect with task = 'colorize'" in message
    recipe = Recipe.from_dict({"views": 1, **SEGMENT, **change})  # control
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize("key", ONLY_TO_COLORIZE)
def test_keys_of_colors_have_no_effect_on_masks(key: str) -> None:
    change = {key: ONLY_TO_COLORIZE[key]}
    message = refused({**SEGMENT, **change})
    assert f"{key} = " in message
    assert "no effect with task = 'segment'" in message
    Recipe.from_dict({"steps": 1, **change})  # control


def test_moving_has_no_effect_on_crops_of_either_task() -> None:
    assert "move = 2 has no effect" in refused({**SEGMENT, "move": 2})


def test_to_segment_is_learned_from_crops_of_pictures_in_turn() -> None:
    assert Recipe.from_dict(SEGMENT).task == "segment"
    assert "size = 0" in refused({**SEGMENT, "size": 0})
    sets = ["voc", "camvid"]
    assert Recipe.from_dict({**SEGMENT, "data": sets}).sets() == (("voc", 1.0), ("camvid", 1.0))
    twice = Recipe.from_dict({**SEGMENT, "data": ["voc=2", "camvid"]})
    assert twice.sets() == (("voc", 2.0), ("camvid", 1.0))
    assert "a whole number of times" in refused({**SEGMENT, "data": ["voc=1.5", "camvid"]})
    assert "names a set twice" in refused({**SEGMENT, "data": ["voc", "voc=2"]})
    turns = {"size": 16, "views": 2, "epochs": 1, "data": ["photos=0.5"]}
    assert "a whole number of times" in refused(turns)


@pytest.mark.parametrize("cache", ["fp32", "bf16"])
def test_a_cache_needs_a_number_of_views(cache: str) -> None:
    message = refused({**SEGMENT, "cache": cache})
    assert f"cache = {cache!r} with views = 0" in message
    assert Recipe.from_dict({**SEGMENT, "cache": cache, "views": 1}).cache == cache


def test_the_recipes_that_segment_are_as_they_say() -> None:
    last = Recipe.load(RECIPES[0].parent / "last-layer.toml")
    assert (last.task, last.network, last.encoder) == ("segment", "deeplabv3", "resnet101")
    assert (last.learn, last.sets()) == (("classifier.4",), (("voc", 1.0),))
    assert Recipe.load(RECIPES[0].parent / "last-layer.toml", ["cache=fp32"]).views > 0
    voc = Recipe.load(RECIPES[0].parent / "voc.toml")
    assert (voc.task, voc.network, voc.learn) == ("segment", "deeplabv3", ("all",))
    assert str(voc.encoder).startswith("timm/")
    # Those of val are for the score that is reported once.
    assert last.holdout == voc.holdout > 0


def test_every_key_is_explained() -> None:
    text = (RECIPES[0].parents[1] / "docs" / "recipe.md").read_text()
    explained = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert explained == {field.name for field in fields(Recipe)}


@pytest.mark.parametrize("entry", ["photos=", "photos=many", "a=0", "a=-1", "a=nan", "a=inf"])
def test_a_wrong_weight_is_named(entry: str) -> None:
    assert repr(entry) in refused({"steps": 1, "data": ["early", entry]})


def test_a_palettes_file_lies_beside_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, 'steps = 1\npalette = "colors/mine.json"')
    monkeypatch.chdir(tmp_path.parent)
    assert Path(Recipe.load(file).palette) == tmp_path / "colors" / "mine.json"
    absolute = str(tmp_path.parent / "other.json")
    assert Recipe.load(file, [f"palette={absolute}"]).palette == absolute
    for name in ("grid", "horse24"):
        assert Recipe.load(file, [f"palette={name}"]).palette == name


def test_a_file_that_is_no_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"gone\.toml: cannot be read"):
        Recipe.load(tmp_path / "gone.toml")
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.load(tmp_path)
    for content in (b"steps =", b"\xff\xfe", b"steps = 1\nsteps = 2"):
        (tmp_path / "mine.toml").write_bytes(content)
        with pytest.raises(RecipeError, match=r"mine\.toml: not a TOML file") as error:
            Recipe.load(tmp_path / "mine.toml")
        assert len(str(error.value).splitlines()) == 1


WORDS = st.text("abc.:/ é", min_size=1, max_size=8)


@given(
    st.fixed_dictionaries(
        {"steps": st.integers(1, 10**9), "size": st.integers(1, 999)},
        optional={
            "name": WORDS,
            "k": st.none() | st.integers(-3, 9),
            "NF": st.none() | st.integers(1, 99),
            "encoder": st.none() | WORDS,
            "data": st.lists(WORDS, min_size=1, unique=True).map(tuple),
            "learn": st.lists(WORDS, min_size=1).map(tuple),
            "zoom": st.floats(0, 1, exclude_min=True),
            "learning_rate": st.floats(0, 1e9, exclude_min=True),
            "flip": st.booleans(),
            "optimizer": st.sampled_from(["adam", "adamw"]),
            "seed": st.integers(0, 2**40),
        },
    )
)
def test_to_a_document_and_back_is_the_same_recipe(values: dict[str, Any]) -> None:
    recipe = Recipe(**values)
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_a_document_is_plain_and_leaves_out_what_is_not_set() -> None:
    document = Recipe(steps=1, k=3).to_dict()
    assert document["k"] == 3
    assert document["data"] == ["cifar10"]
    assert "NF" not in document
    assert "encoder" not in document
    assert Recipe(steps=1, k=3).network_arguments() == {"k": 3}
    assert Recipe(steps=1).network_arguments() == {}
