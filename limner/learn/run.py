"""A training run: its folder, its parts in memory, and how it is saved and taken up again."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from limner import networks
from limner.card import CHANNELS
from limner.errors import RecipeError, TrainingError
from limner.learn import checkpoint, machine
from limner.learn.loading.batches import Batches, Whole
from limner.learn.loading.sources import Sources
from limner.networks.freeze import freeze
from limner.palette import Palette
from limner.recipe import Recipe

FORMAT = 1  # of run.json
FROZEN = "frozen"  # the name of the checkpoint that holds what never changes
KEYS = ("recipe", "palette", "data", "from", "precision", "device", "threads")


@dataclass
class Run:
    """A run in memory: what never changes (recipe, palette, data), and what a checkpoint holds."""

    folder: Path
    recipe: Recipe
    palette: Palette
    network: networks.Network
    learner: nn.Module  # the network; its last layer alone where the rest's answers are cached
    sources: Sources
    batches: Batches
    class_weights: torch.Tensor | None  # of the loss, [K]
    optimizer: torch.optim.Optimizer
    ema: dict[str, torch.Tensor]  # running means of what learns; empty without `ema`
    precision: machine.Precision
    device: torch.device
    step: int = 0
    seconds: float = 0.0  # spent in steps, over all sittings
    cache: Path | None = None  # where kept features lie; None: with the user's decoded pictures
    losses: list[torch.Tensor] = field(default_factory=list)  # of the steps since the last record

    @property
    def steps(self) -> int:
        return self.recipe.steps or self.recipe.epochs * self.sources.per_epoch


def described(folder: Path) -> dict[str, Any]:
    """The run's run.json. Raises TrainingError if there is none, or another limner wrote it."""
    try:
        document = json.loads((folder / "run.json").read_text())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not JSON"
        raise TrainingError(
            f"{folder}: holds no run (run.json: {reason}); "
            "start one with `limner train RECIPE.toml -o RUN`"
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise TrainingError(f"{folder}: its run.json is not of format {FORMAT}; upgrade limner")
    missing = [key for key in KEYS if key not in document]
    if missing:
        raise TrainingError(f"{folder}: its run.json lacks {missing[0]!r}; start the run anew")
    return document


def build(recipe: Recipe, palette: Palette, pretrained: bool) -> networks.Network:
    """The recipe's network from its seed, with its encoder's pretrained weights if it has one."""
    torch.manual_seed(recipe.seed)
    arguments = {"NC": len(palette), "NIn": CHANNELS[input_kind(recipe, palette)]}
    network = networks.build(recipe.network, {**arguments, **recipe.network_arguments()})
    if pretrained:
        network.load_pretrained()
    return network


def input_kind(recipe: Recipe, palette: Palette) -> str:
    """What the network sees, in the words of a card."""
    if recipe.task == "segment":
        return "rgb"
    return "light" if palette.space == "ab" else "mean"


def assemble(
    folder: Path, recipe: Recipe, sources: Sources, network: networks.Network,
    precision: machine.Precision, device: torch.device,
) -> Run:  # fmt: skip
    """Put the run together, before its first step. Raises RecipeError for a part to learn that does
    not exist or a rate of no encoder, TrainingError for a cache of what training changes."""
    batches = sources.batches(recipe, network.stride)
    if isinstance(batches, Whole):
        network.count(batches.light, batches.classes)
    freeze(network, "all" if recipe.learn == ("all",) else recipe.learn)
    check_cache(recipe, network)
    network.to(device).to(memory_format=torch.channels_last)
    network.train()
    # Built last, so that it holds the parameters that learn and no others.
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    groups = parameter_groups(recipe, network)
    optimizer = kind(groups, recipe.learning_rate, weight_decay=recipe.weight_decay)
    ema = {}
    if recipe.ema:
        ema = {name: value.detach().clone() for name, value in learned_state(network).items()}
    weights = sources.class_weights(recipe)
    return Run(
        folder=folder,
        recipe=recipe,
        palette=sources.palette,
        network=network,
        learner=network,
        sources=sources,
        batches=batches,
        class_weights=None if weights is None else torch.from_numpy(weights).to(device),
        optimizer=optimizer,
        ema=ema,
        precision=precision,
        device=device,
    )


def parameter_groups(recipe: Recipe, network: networks.Network) -> list[dict[str, Any]]:
    """The parameters that learn, as one group of the optimizer's or, with `encoder_rate`, as two;
    "factor": of the learning rate. Raises RecipeError if no pretrained encoder learns."""
    learning = {name: p for name, p in network.named_parameters() if p.requires_grad}
    if recipe.encoder_rate == 1:
        return [{"params": list(learning.values()), "factor": 1.0}]
    prefix = f"{network.encoder_part}."
    inside = [p for name, p in learning.items() if name.startswith(prefix)]
    if not inside:
        raise RecipeError(
            f"recipe {recipe.name}: encoder_rate = {recipe.encoder_rate:g}, and no pretrained "
            f"encoder learns in this {recipe.network}; leave it out"
        )
    outside = [p for name, p in learning.items() if not name.startswith(prefix)]
    return [
        {"params": inside, "factor": recipe.encoder_rate},
        {"params": outside, "factor": 1.0},
    ]


def check_cache(recipe: Recipe, network: networks.Network) -> None:
    """Raise TrainingError if features are to be kept and more than the last layer learns."""
    learning = [name for name, p in network.named_parameters() if p.requires_grad]
    changing = [name for name in learning if not name.startswith(f"{network.last_layer}.")]
    if recipe.cache != "none" and changing:
        raise TrainingError(
            f"cache = {recipe.cache!r}: {changing[0]} learns, so that features change with every "
            f"step; set learn = {network.last_layer!r}, or cache = 'none'"
        )


def learned_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """What training changes: the parameters that learn, and the statistics of live norms."""
    learned: dict[str, torch.Tensor] = {
        n: p for n, p in network.named_parameters() if p.requires_grad
    }
    for prefix, module in network.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
            for name, buffer in module.named_buffers(prefix, recurse=False):
                if buffer.is_floating_point():
                    learned[name] = buffer
    return learned


def changing(network: nn.Module) -> set[str]:
    """The names in the network's state that training may change; all, unless a part is frozen."""
    names = set(network.state_dict())
    if all(parameter.requires_grad for parameter in network.parameters()):
        return names
    counts = {name for name in names if name.endswith(".num_batches_tracked")}
    live = set(learned_state(network))
    return live | {n for n in counts if n.replace("num_batches_tracked", "running_mean") in live}


def save(run: Run) -> None:
    """The run's checkpoint: weights, running means, the optimizer's moments, the losses that wait
    to be recorded, step and seconds. What is frozen is written once, before the first step.

    Raises TrainingError for weights that are not finite: the older checkpoint stays.
    """
    if not all(bool(p.isfinite().all()) for p in run.network.parameters()):
        raise TrainingError(
            f"step {run.step:,}: weights are not finite any more; "
            "start anew with a lower one: --set learning_rate=..."
        )
    state, live = run.network.state_dict(), changing(run.network)
    frozen = {f"network/{name}": value for name, value in state.items() if name not in live}
    if frozen and run.step == 0:
        checkpoint.save(run.folder, 0, frozen, {}, FROZEN)
    tensors = {f"network/{name}": state[name] for name in state if name in live}
    tensors |= {f"ema/{name}": value for name, value in run.ema.items()}
    for index, moments in run.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in moments.items()}
    if run.losses:
        tensors["losses"] = torch.stack(run.losses)
    checkpoint.save(run.folder, run.step, tensors, {"seconds": round(run.seconds, 3)})


Groups = dict[str, dict[str, torch.Tensor]]


def saved(folder: Path) -> tuple[int, Groups, dict[str, Any]]:
    """What `save` wrote: the step, tensors by group (network, ema, optimizer, losses), the rest.

    Raises TrainingError if a part is missing or damaged.
    """
    step, tensors, state = checkpoint.load(folder)
    if checkpoint.exists(folder, FROZEN):
        tensors |= checkpoint.load(folder, FROZEN)[1]
    groups: Groups = {"network": {}, "ema": {}, "optimizer": {}, "losses": {}}
    for name, value in tensors.items():
        group, _, rest = name.partition("/")
        groups.setdefault(group, {})[rest] = value
    return step, groups, state


def restore(run: Run) -> None:
    """Put the folder's checkpoint into the run. Raises TrainingError if it does not fit."""
    step, groups, state = saved(run.folder)
    moments: dict[int, dict[str, torch.Tensor]] = {}
    try:
        run.losses = list(groups["losses"].get("", torch.empty(0)))
        for name, value in groups["optimizer"].items():
            index, _, moment = name.partition("/")
            moments.setdefault(int(index), {})[moment] = value
        run.network.load_state_dict(groups["network"])
        for name, value in run.ema.items():
            value.copy_(groups["ema"][name])
        whole = run.optimizer.state_dict()
        run.optimizer.load_state_dict({**whole, "state": moments})
    except (RuntimeError, KeyError, ValueError) as error:
        raise TrainingError(
            f"{run.folder}: the checkpoint does not fit the recipe's network; start the run anew"
        ) from error
    run.step, run.seconds = step, state["seconds"]


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The learning rate of a step: linear warm-up, then constant, or down to 0 in a line or in
    half a cosine."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    if recipe.schedule == "constant":
        return recipe.learning_rate
    done = (step - recipe.warmup) / max(1, steps - recipe.warmup)
    if recipe.schedule == "linear":
        return recipe.learning_rate * (1 - done)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
