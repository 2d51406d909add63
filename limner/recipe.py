"""A recipe: all that a training run depends on, as one frozen record, read from a TOML file."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from limner.errors import RecipeError

Optimizer = Literal["adam", "adamw"]
Schedule = Literal["constant", "linear", "cosine"]
Task = Literal["colorize", "segment"]
Cache = Literal["none", "fp32", "bf16"]
LossAt = Literal["stride", "full"]
ClassWeights = Literal["none", "inverse", "root"]
# Keys that only one of the tasks reads.
COLOR_KEYS = ("greys", "palette", "move", "scale", "shift")
MASK_KEYS = ("foreground", "loss_at", "class_weights")


@dataclass(frozen=True)
class Recipe:
    """Every key of a recipe, with its default. A key that is not here is an error.

    A network's own arguments (k, NF, width, encoder) are passed on where they are set. To colorize,
    its number of classes follows from the palette, its input (L*/100, or the mean of the channels
    for RGB palettes) too; to segment, the classes are the masks' and the input is RGB.
    """

    name: str = "model"
    task: Task = "colorize"
    network: str = "unet"
    k: int | None = None  # kernel size, odd
    NF: int | None = None  # features of the first block
    skips: str | None = None  # which of a UNet's skip connections there are
    greys: int | None = None  # rows of a resunet's look-up table: 256, or 0
    width: int | None = None  # features of a pyramid's decoder
    encoder: str | None = None  # "timm/NAME", or torchvision's for a deeplabv3, pretrained
    learn: tuple[str, ...] = ("all",)  # modules that learn; the rest is frozen, norms in eval
    data: tuple[str, ...] = ("cifar10",)  # NAME|PATH[:CATEGORY][=WEIGHT] of each set
    split: str = "train"
    pictures: int = 0  # learn from the first so many pictures of each set; 0: from all
    holdout: int = 0  # pictures cut from the training split for validation; 0: the `val` split
    foreground: tuple[str, ...] = ()  # classes that are one against all others; none: as they are
    palette: str = "horse24"  # an embedded palette, a JSON file beside the recipe, or "grid"
    size: int = 0  # side of the square crops in pixels; 0: whole pictures, all of one size
    zoom: float = 1.0  # a crop's side is drawn from zoom..1 of the picture's short side
    flip: bool = False  # mirror half of the pictures
    move: int = 0  # pixels by which whole pictures are moved at most, their edge mirrored
    tone: float = 0.0  # strength of the random tone curve on the input light
    scale: float = 1.0  # the network sees scale * light + shift: a study's question, not exported
    shift: float = 0.0
    views: int = 0  # crops of each picture that are shown in turn; 0: a new one each epoch
    cache: Cache = "none"  # what the frozen layers say of each view is computed once and kept
    loss_at: LossAt = "stride"  # the labels come down to the logits, or those up to the labels
    class_weights: ClassWeights = "none"  # in the loss, by how rare a class is
    shuffle: bool = True  # a new order of the pictures each epoch (one set)
    batch: int = 100
    epochs: int = 0  # exactly one of epochs and steps is given
    steps: int = 0
    optimizer: Optimizer = "adam"
    learning_rate: float = 1e-3  # at its highest
    encoder_rate: float = 1.0  # the learning rate's factor in a pretrained encoder
    warmup: int = 0  # steps of linear growth up to the learning rate
    schedule: Schedule = "constant"
    weight_decay: float = 0.0
    ema: float = 0.0  # decay of the running mean of the weights, which is what is kept; 0: none
    validate: int = 0  # steps between validations; 0: once an epoch, or at the end
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.epochs > 0) == (self.steps > 0):
            raise RecipeError(
                f"recipe {self.name}: epochs = {self.epochs} and steps = {self.steps}; "
                "give exactly one of them, above 0"
            )
        limits = {
            "pictures": self.pictures >= 0,
            "holdout": self.holdout >= 0,
            "size": self.size >= 0,
            "zoom": 0 < self.zoom <= 1,
            "move": self.move >= 0,
            "tone": 0 <= self.tone <= 1,
            "scale": 0 < abs(self.scale) < float("inf"),
            "shift": abs(self.shift) < float("inf"),
            "batch": self.batch >= 1,
            "epochs": self.epochs >= 0,
            "steps": self.steps >= 0,
            "learning_rate": 0 < self.learning_rate < float("inf"),
            "encoder_rate": 0 < self.encoder_rate < float("inf"),
            "warmup": self.warmup >= 0,
            "weight_decay": 0 <= self.weight_decay < float("inf"),
            "ema": 0 <= self.ema < 1,
            "validate": self.validate >= 0,
            "views": self.views >= 0,
            "seed": self.seed >= 0,
            "data": len(self.data) > 0,
            "learn": len(self.learn) > 0,
        }
        without_crops = self.size == 0
        several = len({weight for _, weight in self.sets()}) > 1
        effects = {  # keys that would do nothing, which nobody means
            "zoom": not (without_crops and self.zoom < 1),
            "tone": not (without_crops and self.tone > 0),
            "data": not (without_crops and several),
            "shuffle": without_crops or self.shuffle,
            "move": without_crops or self.move == 0,
            "views": not (without_crops and self.views),
        }
        for key, good in effects.items():
            if not good:
                raise RecipeError(
                    f"recipe {self.name}: {key} = {getattr(self, key)!r} has no effect with "
                    f"size = {self.size}; crops (size above 0) are drawn at random, from sets by "
                    "weight, and augmented; whole pictures (size 0) are not"
                )
        self._check_task()
        if self.greys and (self.size or (self.scale, self.shift) != (1, 0)):
            raise RecipeError(
                f"recipe {self.name}: greys = {self.greys} counts whole pictures whose light is in "
                "0..1; set size = 0, scale = 1 and shift = 0"
            )
        for key, good in limits.items():
            if not good:
                raise RecipeError(
                    f"recipe {self.name}: {key} = {getattr(self, key)!r} is out of range; "
                    "docs/recipe.md tells what each key takes"
                )

    def _check_task(self) -> None:
        """Raise RecipeError for keys of the other task, and for what the task cannot do."""
        defaults = {field.name: field.default for field in fields(self)}
        for key in MASK_KEYS if self.task == "colorize" else COLOR_KEYS:
            if getattr(self, key) != defaults[key]:
                raise RecipeError(
                    f"recipe {self.name}: {key} = {getattr(self, key)!r} has no effect with "
                    f"task = {self.task!r}; leave it out, or set the task"
                )
        if self.task == "segment" and not self.size:
            raise RecipeError(
                f"recipe {self.name}: size = 0; a task to segment learns from crops, give their "
                "side in pixels"
            )
        specs = [spec for spec, _ in self.sets()]
        if len(set(specs)) < len(specs):
            raise RecipeError(
                f"recipe {self.name}: data = {list(self.data)} names a set twice; name it once, "
                "with what it weighs: NAME=2"
            )
        fractions = [weight for _, weight in self.sets() if weight % 1]
        if (self.task == "segment" or self.views) and fractions:
            raise RecipeError(
                f"recipe {self.name}: data = {list(self.data)}; an epoch shows each picture a "
                "whole number of times, write NAME=2"
            )
        if self.cache != "none" and not self.views:
            raise RecipeError(
                f"recipe {self.name}: cache = {self.cache!r} with views = 0, of which there is no "
                "end; give the number of views of each picture, 1 say"
            )

    def sets(self) -> tuple[tuple[str, float], ...]:
        """The data sets and the weight of each: (("photos", 9.0), ("early", 1.0)). Of pictures that
        are shown in turn: how often an epoch shows each."""
        pairs = []
        for entry in self.data:
            spec, equals, weight = entry.rpartition("=")
            try:
                pairs.append((spec, float(weight)) if equals else (entry, 1.0))
            except ValueError as error:
                raise RecipeError(
                    f"recipe {self.name}: data {entry!r}; write NAME=WEIGHT, as in 'photos=9'"
                ) from error
            if not 0 < pairs[-1][1] < float("inf"):
                raise RecipeError(f"recipe {self.name}: data {entry!r}; a weight is above 0")
        return tuple(pairs)

    def network_arguments(self) -> dict[str, Any]:
        """The network's own arguments that the recipe sets."""
        chosen = {
            key: getattr(self, key) for key in ("k", "NF", "skips", "greys", "width", "encoder")
        }
        return {key: value for key, value in chosen.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """A plain document for JSON; keys that are not set are left out."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            if value is not None
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], source: str = "recipe") -> "Recipe":
        """Check every key and type. Raises RecipeError that lists the keys for an unknown one."""
        types = get_type_hints(cls)
        for key in document:
            if key not in types:
                known = ", ".join(field.name for field in fields(cls))
                raise RecipeError(f"{source}: unknown key {key!r}; the keys are {known}")
        values = {k: _typed(source, k, v, types[k]) for k, v in document.items()}
        return cls(**values)

    @classmethod
    def load(cls, path: Path | str, settings: Iterable[str] = ()) -> "Recipe":
        """Read a TOML file; each setting "key=value" (a TOML value, or a bare word) replaces one.

        A palette's file that the recipe names is looked for beside the recipe. Raises RecipeError.
        """
        source = Path(path)
        try:
            document = tomllib.loads(source.read_text())
        except OSError as error:
            raise RecipeError(
                f"{path}: cannot be read ({error.strerror}); give a recipe's file"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path}: not a TOML file ({error}); mend it") from error
        palette = document.get("palette")
        if isinstance(palette, str) and palette.endswith(".json"):
            document["palette"] = str(source.parent / palette)
        for setting in settings:
            key, equals, value = setting.partition("=")
            if not equals:
                raise RecipeError(f"--set {setting}: no '='; write --set key=value")
            if key in ("epochs", "steps"):  # one of them replaces the other
                document.pop("epochs", None)
                document.pop("steps", None)
            document[key.strip()] = _toml_value(value.strip())
        return cls.from_dict(document, str(path))


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a bare word: --set network=cnn


def _typed(source: str, key: str, value: Any, expected: Any) -> Any:
    """`value` as the field's type, or a RecipeError that says what the key wants."""
    options = get_args(expected)
    if expected == tuple[str, ...]:
        if isinstance(value, str):
            value = [value]
        good = isinstance(value, list) and all(isinstance(item, str) for item in value)
        value, wanted = tuple(value) if good else value, "a word or a list of words"
    elif options and isinstance(options[0], str):
        good, wanted = value in options, " or ".join(options)
    else:
        kind = options[0] if options else expected
        if kind is float and type(value) is int:
            value = float(value)
        good, wanted = (
            type(value) is kind,
            {int: "a whole number", bool: "true or false", float: "a number", str: "a word"}[kind],
        )
    if not good:
        raise RecipeError(f"{source}: {key} = {value!r}; it must be {wanted}")
    return value
