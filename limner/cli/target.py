"""MODEL on the command line of `limner account`: what it names, its arguments, its input."""

import ast
import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from limner.cli.terminal import say
from limner.errors import AccountError

if TYPE_CHECKING:
    from limner.accounting.account import Build

SIDE = 32  # of the picture that a network of ours is given unless another is asked for
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Target:
    """A network with everything that a count needs to know of it.

    arguments: of the callable `build`. shapes: inputs without the batch. names: of the sizes of the
    only input, None where a size has none. defaults: of arguments that are whole numbers. own: the
    symbols that --symbolic keeps, k, NF and NC say; a callable has none.
    """

    model: str
    build: "Build"
    arguments: Mapping[str, Any]
    shapes: tuple[Shape, ...]
    names: tuple[str | None, ...]
    batch: int
    defaults: Mapping[str, int] = field(default_factory=dict)
    own: tuple[str, ...] = ()

    @property
    def symbols(self) -> dict[str, int]:
        """What can be kept free, with its value: whole arguments, named sizes, the batch B."""
        sizes = zip(self.names, self.shapes[0], strict=True) if len(self.shapes) == 1 else ()
        whole = {
            name: value
            for name, value in {**self.defaults, **self.arguments}.items()
            if type(value) is int and value > 0
        }
        return {**whole, **{name: size for name, size in sizes if name}, "B": self.batch}

    def value(self, symbol: str) -> int:
        """A symbol's value. AccountError that lists the symbols for an unknown one."""
        if symbol not in self.symbols:
            raise AccountError(
                f"{self.model} has no symbol {symbol!r}; choose from {', '.join(self.symbols)}, or "
                "give an argument a whole number with --set"
            )
        return self.symbols[symbol]

    def at(self, symbol: str, value: int) -> "Target":
        """The same network with another value of a symbol."""
        self.value(symbol)
        takes = symbol in self.arguments or symbol in self.defaults
        shapes = self.shapes
        if symbol in self.names:
            sizes = zip(self.names, self.shapes[0], strict=True)
            shapes = (tuple(value if name == symbol else size for name, size in sizes),)
        return replace(
            self,
            arguments={**self.arguments, symbol: value} if takes else self.arguments,
            shapes=shapes,
            batch=value if symbol == "B" and not takes else self.batch,
        )

    def doubled(self) -> "Target":
        """The same network for a picture of twice the sides. AccountError where there are none."""
        if "H" not in self.names or "W" not in self.names:
            raise AccountError(f"{self.model}: its input is no picture C x H x W that could double")
        return self.at("H", 2 * self.symbols["H"]).at("W", 2 * self.symbols["W"])


def find(model: str, settings: Mapping[str, Any], shapes: Sequence[Shape], batch: int) -> Target:
    """What MODEL names: a network of ours, a model's file or name, or package.module:callable."""
    from limner import weights
    from limner.networks import NETWORKS

    if model in NETWORKS:
        return ours(model, NETWORKS[model], settings, shapes, batch)
    if model in weights.names() or os.path.isfile(model):
        from limner.learn.export import load

        network, _ = load(weights.path(model))
        for name in settings:
            if name not in ("H", "W"):
                raise AccountError(
                    f"{model}: a trained model has its {name} already; give the network's name to "
                    f"vary it: {', '.join(NETWORKS)}"
                )
        return ours(model, type(network), {**network.arguments, **settings}, shapes, batch)
    if ":" in model:
        build = resolve(model)
        if not shapes:
            raise AccountError(
                f"{model} needs the shape of its input without the batch; give --input 3x224x224"
            )
        return callable_target(model, build, settings, shapes, batch)
    if model.endswith(".onnx") or os.sep in model:
        raise AccountError(
            f"{model}: no such file; give a model's file, or one of {', '.join(NETWORKS)}"
        )
    raise AccountError(
        f"{model} is no network of limner's ({', '.join(NETWORKS)}), no model's file or name; name "
        f"others as package.module:callable, torchvision.models:{model} say"
    )


def ours(
    model: str,
    network: Any,
    settings: Mapping[str, Any],
    shapes: Sequence[Shape],
    batch: int,
) -> Target:
    """A network of the package: H and W are settings too, and NIn follows the input's channels."""
    if len(shapes) > 1:
        raise AccountError(f"{model} takes one input, not {len(shapes)}; give --input once")
    arguments = {name: value for name, value in settings.items() if name not in ("H", "W")}
    defaults = whole_defaults(network)
    side = -(-SIDE // network.multiple) * network.multiple
    shape = (int(arguments.get("NIn", defaults["NIn"])), side, side)
    if shapes:
        shape = shapes[0]  # type: ignore[assignment]  # checked below
        if len(shape) != 3:
            raise AccountError(
                f"input {'x'.join(map(str, shape))}: {model} takes pictures C x H x W; give "
                f"--input {defaults['NIn']}x{side}x{side}, say"
            )
        arguments.setdefault("NIn", shape[0])
    sizes = [
        check_size("H", settings.get("H", shape[1])),
        check_size("W", settings.get("W", shape[2])),
    ]
    return Target(
        model=model,
        build=network,
        arguments=arguments,
        shapes=((shape[0], *sizes),),
        names=("NIn", "H", "W"),
        batch=batch,
        defaults=defaults,
        own=tuple(name for name in defaults if name != "NIn"),
    )


def callable_target(
    model: str, build: "Build", settings: Mapping[str, Any], shapes: Sequence[Shape], batch: int
) -> Target:
    """Somebody's callable or live module; H and W name the sides of a picture C x H x W."""
    from torch import nn

    picture = len(shapes) == 1 and len(shapes[0]) == 3
    names = (None, "H", "W") if picture else (None,) * len(shapes[0])
    defaults = {} if isinstance(build, nn.Module) else whole_defaults(build)
    if isinstance(build, nn.Module) and settings:
        raise AccountError(
            f"{model} is a network that is built already; leave out --set, or name what builds it"
        )
    return Target(model, build, dict(settings), tuple(shapes), names, batch, defaults)


def whole_defaults(build: Callable[..., Any]) -> dict[str, int]:
    """The arguments whose defaults are whole numbers."""
    try:
        parameters = inspect.signature(build).parameters.values()
    except ValueError:  # a callable that does not tell its signature
        return {}
    return {p.name: p.default for p in parameters if type(p.default) is int}


def resolve(model: str) -> Any:
    """The object that package.module:name names; the working folder is searched too.

    Says on stderr what was found. AccountError for what cannot be imported or called.
    """
    module_name, _, path = model.partition(":")
    if not module_name or not path:
        raise AccountError(
            f"{model}: give package.module:callable, torchvision.models:resnet50 say"
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        with redirect_stdout(sys.stderr):  # what a file prints is no result
            found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever a user's file may raise
        reason = " ".join(str(error).split()) or type(error).__name__
        hint = "leave out .py" if module_name.endswith(".py") else "check the name, or install it"
        raise AccountError(f"{module_name} cannot be imported: {reason}; {hint}") from error
    for part in path.split("."):
        if not hasattr(found, part):
            names = [n for n, v in vars(found).items() if callable(v) and not n.startswith("_")]
            near = get_close_matches(part, names, 5) or names[:5]
            raise AccountError(
                f"{module_name} has no {path!r}; it has {', '.join(near) or 'no callables'}"
            )
        found = getattr(found, part)
    if not callable(found):
        raise AccountError(
            f"{model} is {describe(found)}, no callable; name a function or class that builds a "
            "network"
        )
    say(f"{model} is {describe(found)}")
    return found


def describe(found: Any) -> str:
    """An object in words: "function resnet50 of torchvision/models/resnet.py"."""
    kind = "class" if isinstance(found, type) else type(found).__name__
    name = getattr(found, "__qualname__", "")
    try:
        file = os.path.relpath(inspect.getsourcefile(inspect.unwrap(found)) or "")
    except TypeError:  # an instance, or what is built in
        return f"{kind} {name}".strip()
    if file.startswith(".."):  # not below the working folder: the module's name says more
        return f"{kind} {name} of {getattr(found, '__module__', '')}"
    return f"{kind} {name} of {file}"


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """`k=3` -> {"k": 3}: numbers, True, False and None as such, anything else as text."""
    settings: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.strip().isidentifier() or not value.strip():
            raise AccountError(f"--set {text}: give NAME=VALUE, k=3 say")
        try:
            settings[name.strip()] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):  # a word
            settings[name.strip()] = {"true": True, "false": False}.get(
                value.strip(), value.strip()
            )
    return settings


def parse_shape(text: str) -> Shape:
    """`3x224x224` -> (3, 224, 224), without the batch."""
    if not re.fullmatch(r"\d+([x,*]\d+)*", text.strip().lower()):
        raise AccountError(f"--input {text}: give sizes without the batch, 3x224x224 say")
    return tuple(check_size("input", int(size)) for size in re.split("[x,*]", text.strip().lower()))


def check_size(name: str, size: Any) -> int:
    """A size that is a whole number above 0. AccountError for anything else."""
    if type(size) is not int or size < 1:
        raise AccountError(f"{name} = {size}; give a whole number above 0")
    return size
