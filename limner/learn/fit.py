"""Fitting a network: one visible loop that can stop after any step and go on bit for bit."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.func import functional_call
from torch.nn.functional import cross_entropy, interpolate

import limner
from limner.errors import DataError, TrainingError
from limner.files import write_atomically
from limner.learn import machine
from limner.learn.export import load
from limner.learn.features import use_features
from limner.learn.loading.batches import Batch, ahead
from limner.learn.loading.sources import Progress, gather
from limner.learn.loading.views import UNSAID
from limner.learn.metrics import Metrics, Report
from limner.learn.run import (
    FORMAT,
    Run,
    assemble,
    build,
    described,
    learned_state,
    learning_rate,
    restore,
    save,
)
from limner.networks import Network
from limner.palette import Palette
from limner.recipe import Recipe

RECORD = 50  # steps between two records of the training loss
KEEP = 300.0  # seconds between two checkpoints, where no validation brings one


class Stopped(TrainingError):
    """Training was asked to stop; everything is saved."""

    exit_code = 130


def start(
    recipe: Recipe, folder: Path, *, precision: str = "auto", device: str = "auto",
    source: Path | None = None, report: Report | None = None,
) -> None:  # fmt: skip
    """Train anew, from `source` (a model file's weights) if it is given. Writes into `folder`:
    run.json (what the run depends on), metrics.jsonl, and the checkpoint.

    Raises TrainingError if the folder already holds a run, or the loss is not a number; Stopped
    after Ctrl-C or SIGTERM, with everything saved.
    """
    if os.path.lexists(folder / "run.json"):
        raise TrainingError(
            f"{folder}: holds a run already; `limner train {folder}` goes on with it, "
            "or choose another folder with -o"
        )
    where = machine.choose_device(device)
    chosen, measured = machine.choose_precision(precision, where)
    network: Network
    origin: dict[str, Any] | None = None
    if source:
        loaded, card = load(source)
        if card.task != recipe.task:
            raise TrainingError(
                f"{source}: a model to {card.task}, and the recipe is to {recipe.task}; start from "
                "a model of the same task"
            )
        palette = card.palette if recipe.task == "colorize" else None
        sources = gather(recipe, palette, report and decoding(report))
        network = build(recipe, sources.palette, pretrained=False)
        same = sources.palette.names == card.palette.names  # a color only shows a class of masks
        take_weights(network, loaded, source, last=same)
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        origin = {"name": card.name, "sha256": digest, "data": card.data, "license": card.license}
    else:
        sources = gather(recipe, None, report and decoding(report))
        network = build(recipe, sources.palette, pretrained=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(
            f"{folder}: cannot be made a folder ({error.strerror}); choose another with -o"
        ) from error
    run = assemble(folder, recipe, sources, network, chosen, where)
    document = {
        "format": FORMAT,
        "limner": limner.__version__,
        "recipe": recipe.to_dict(),
        "palette": sources.palette.to_json(),
        "data": sources.described,
        "class_weights": None if run.class_weights is None else run.class_weights.tolist(),
        "from": origin,  # the model that it began with, whose data and terms go with the weights
        "precision": chosen,
        "measured": measured,
        "device": where.type,
        "threads": torch.get_num_threads(),
    }
    save(run)  # so that going on never needs the model or the encoder that it began with
    write_atomically(folder / "run.json", json.dumps(document, indent=1).encode())
    fit(run, report)


def take_weights(network: Network, loaded: Network, source: Path, last: bool) -> None:
    """Give `network` the weights of a model; those of the last layer only if the classes are the
    same. Raises TrainingError if it is another network."""
    state = loaded.state_dict()
    if not last:
        own = network.state_dict()
        prefix = f"{network.last_layer}."
        state |= {name: value for name, value in own.items() if name.startswith(prefix)}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise TrainingError(
            f"{source}: its network ({loaded.arguments}) is not the recipe's "
            f"({network.arguments}); use the model's own"
        ) from error


def decoding(report: Report) -> Progress:
    """Tell `report` how far a set is decoded, as the record {"decoding": its name}."""
    return lambda name, done, total: report(done, total, {"decoding": name})


def resume(folder: Path, report: Report | None = None) -> None:
    """Go on with the run in `folder` from its checkpoint; return at once if it is finished.

    Takes as many threads as the run began with: other numbers add in another order. Raises
    TrainingError if the checkpoint or the data are not what they were.
    """
    document = described(folder)
    recipe = Recipe.from_dict(document["recipe"], str(folder / "run.json"))
    palette = Palette.from_json(document["palette"], str(folder / "run.json"))
    sources = gather(recipe, palette, report and decoding(report))
    # Runs of colorizers begun by an older limner do not say what their `val` splits hold.
    older = {
        spec: {key: value for key, value in told.items() if key != "validation"}
        for spec, told in sources.described.items()
    }
    if document["data"] not in (sources.described, older):
        raise TrainingError(
            f"{folder}: the data are not those that the run began with "
            f"({sources.described} instead of {document['data']}); restore them"
        )
    if document["device"] == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            f"{folder}: the run began on CUDA, and torch finds no CUDA device here; "
            "go on with it on a machine that has one"
        )
    torch.set_num_threads(document["threads"])
    network = build(recipe, palette, pretrained=False)
    where = torch.device(document["device"])
    run = assemble(folder, recipe, sources, network, document["precision"], where)
    if document.get("class_weights"):  # older runs keep none, and count them again
        run.class_weights = torch.tensor(document["class_weights"], device=where)
    restore(run)
    fit(run, report)


def fit(run: Run, report: Report | None = None) -> None:
    """Train from the run's step to its last, recording, validating and saving on the way."""
    machine.keep_memory()
    metrics = Metrics(run, report)
    held: Iterable[Batch]
    if run.recipe.cache == "none":
        held = list(run.sources.validation(run.recipe, run.network.stride))
    else:
        held = use_features(run, report)
    if all(bool((classes == UNSAID).all()) for _, classes in held):
        raise DataError(
            f"the validation pictures say no class in their middle squares, brought to "
            f"{run.recipe.size} pixels; validate on pictures whose masks do"
        )
    every = run.recipe.validate or (run.sources.per_epoch if run.recipe.epochs else run.steps)
    run.network.train()
    with stop_requests() as stop:
        begin = saved = time.monotonic()
        for batch in ahead(run.batches, run.step, run.steps):
            run.losses.append(learn(run, batch))
            run.step += 1
            run.seconds += time.monotonic() - begin
            stopping = bool(stop)  # once a step: a later request stops after the next one
            validating = run.step % every == 0 or run.step == run.steps
            saving = validating or stopping or time.monotonic() - saved > KEEP
            if validating or run.step % RECORD == 0:
                metrics.training(run.losses)
                run.losses = []
            if validating:
                metrics.validation(validate(run, held))
            if saving:
                metrics.flush()
                save(run)
                saved = time.monotonic()
            if report:
                report(run.step, run.steps, None)
            if stopping and run.step < run.steps:
                raise Stopped(
                    f"stopped after step {run.step:,} of {run.steps:,}, saved; "
                    f"go on with: limner train {run.folder}"
                )
            begin = time.monotonic()


def learn(run: Run, batch: Batch) -> torch.Tensor:
    """One step on one batch; its loss (mean cross-entropy in nats over the cells), detached."""
    for group in run.optimizer.param_groups:
        group["lr"] = group["factor"] * learning_rate(run.recipe, run.step, run.steps)
    torch.manual_seed(run.recipe.seed + run.step)  # dropout draws, wherever the run goes on
    inputs, classes = (part.to(run.device, non_blocking=True) for part in batch)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.precision == "bf16"):
        logits = run.learner(inputs)
    loss = loss_of(logits, classes, run.class_weights)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    run.optimizer.step()
    if run.ema:
        # The mean's horizon grows with the steps done, so that the start is soon forgotten.
        share = 1 - min(run.recipe.ema, (run.step + 1) / (run.step + 10))
        values = learned_state(run.network)
        with torch.no_grad():
            torch._foreach_lerp_(list(run.ema.values()), [values[name] for name in run.ema], share)
    return loss.detach()


def loss_of(
    logits: torch.Tensor, classes: torch.Tensor, weights: torch.Tensor | None
) -> torch.Tensor:
    """Mean cross-entropy in nats over the cells whose class is said, each weighed by its class:
    logits [N, K, h, w], brought to the sides of the classes [N, H, W]. 0 where none is said."""
    # Rows of classes are contiguous in channels-last memory: softmax then copies nothing.
    rows = fitted(logits, classes).permute(0, 2, 3, 1).flatten(0, 2).float()
    flat = classes.flatten()
    if not bool((flat != UNSAID).any()):
        return 0 * rows.sum()
    return cross_entropy(rows, flat, weights, ignore_index=UNSAID)


def fitted(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Logits [N, K, h, w] at the sides of the classes [N, H, W], bilinear where they differ."""
    if logits.shape[-2:] == classes.shape[-2:]:
        return logits
    return interpolate(logits, classes.shape[-2:], mode="bilinear", align_corners=False)


@torch.no_grad()
def validate(run: Run, held: Iterable[Batch]) -> dict[str, float]:
    """Loss (nats) and accuracy a cell on the validation pictures, with the averaged weights; with
    masks, the mean IoU of the classes that are there, too."""
    run.network.eval()
    K = len(run.palette)
    loss, table = 0.0, torch.zeros(K, K, dtype=torch.long)  # true class, said class
    prefix = next(name for name, module in run.network.named_modules() if module is run.learner)
    own = {name.removeprefix(prefix).removeprefix("."): value for name, value in run.ema.items()}
    for inputs, classes in held:
        inputs = inputs.to(run.device).contiguous(memory_format=torch.channels_last)
        classes = classes.to(run.device)
        with torch.autocast(run.device.type, torch.bfloat16, enabled=run.precision == "bf16"):
            logits = fitted(functional_call(run.learner, own, (inputs,)).float(), classes)
        loss += float(cross_entropy(logits, classes, ignore_index=UNSAID, reduction="sum"))
        known = classes != UNSAID
        pairs = K * classes[known] + logits.argmax(dim=1)[known]
        table += torch.bincount(pairs, minlength=K * K).reshape(K, K).cpu()
    run.network.train()
    cells, right = int(table.sum()), table.diagonal()
    scores = {"loss": loss / cells, "accuracy": float(right.sum()) / cells}
    if run.recipe.task == "segment":
        there = table.sum(dim=1) > 0
        union = table.sum(dim=0) + table.sum(dim=1) - right
        scores["mean_iou"] = float((right[there] / union[there]).mean())
    return scores


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """A list that Ctrl-C and SIGTERM fill, so that the loop stops after a whole step."""
    received: list[int] = []
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.getsignal(kind) for kind in kinds}
    try:
        for kind in kinds:
            signal.signal(kind, lambda number, frame: received.append(number))
        yield received
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
