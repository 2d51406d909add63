"""The last layer at the price of the last layer: learning from kept features against learning past
everything that is frozen.

    python benchmarks/cached_features.py [--data NAME|PATH] [--steps N] [--json]

torchvision's DeepLabV3 on ResNet-101 with random weights (they cost what trained ones do), of which
the last layer learns, on 224 x 224 crops in batches of 8: the same recipe without a cache and with
one, the same batches in the same order, in one process. Seconds are those of the steps alone; what
the cache took to build is told apart. The weights at the end must be the same with features in
fp32, else it leaves with an error; with bf16 it tells how far the logits are from those. With the
loss at the logits' stride, and at full size. About 10 minutes on two cores.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limner.learn import fit
from limner.learn.features import Cached, find_or_make
from limner.learn.loading.sources import Sources, gather
from limner.learn.loading.views import Views
from limner.learn.run import Run, assemble, build
from limner.recipe import Cache, LossAt, Recipe
from limner.studies.record import origin

CPU = torch.device("cpu")
BATCH, BATCHES = 8, 4  # pictures a batch, batches an epoch
RECIPE = Recipe(
    name="cached",
    task="segment",
    network="deeplabv3",
    encoder="resnet101",
    learn=("classifier.4",),
    pictures=BATCH * BATCHES + 1,  # one is held out
    holdout=1,
    size=224,
    flip=True,
    views=1,
    batch=BATCH,
    steps=1,
)


def train(recipe: Recipe, sources: Sources) -> tuple[Run, dict[str, float]]:
    """A run to its end, and its seconds: of a step, of building the cache, of everything."""
    begin = time.perf_counter()
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        network = build(recipe, sources.palette, pretrained=False)
        run = assemble(Path(folder), recipe, sources, network, "fp32", CPU)
        if recipe.cache != "none":
            assert isinstance(run.batches, Views)
            before = time.perf_counter()
            find_or_make(run, run.batches, None)  # that fit then finds
            seconds["building"] = time.perf_counter() - before
        fit.fit(run)
    seconds["step"] = run.seconds / recipe.steps
    return run, {**seconds, "whole": time.perf_counter() - begin}


@torch.inference_mode()
def logits_apart(exact: Run, other: Run) -> float:
    """The largest difference between the logits of two runs, each of its own kept features, as a
    share of the first one's largest."""
    assert isinstance(exact.batches, Cached)
    assert isinstance(other.batches, Cached)
    largest = furthest = 0.0
    for row in range(len(exact.batches.kept.features)):
        rows = np.array([row])
        one, two = (kept.batch(rows)[0] for kept in (exact.batches.kept, other.batches.kept))
        logits = exact.learner(one)
        largest = max(largest, float(logits.abs().max()))
        furthest = max(furthest, float((logits - other.learner(two)).abs().max()))
    return furthest / largest


def compare(data: str, steps: int, loss_at: LossAt, caches: list[Cache]) -> dict[str, Any]:
    """Seconds without and with each cache, of which fp32 is the first, and how far the weights and
    the logits end apart."""
    recipe = replace(RECIPE, data=(data,), steps=steps, loss_at=loss_at)
    sources = gather(recipe, None)
    plain, seconds = train(recipe, sources)
    found: dict[str, Any] = {"uncached": seconds}
    weights = plain.network.get_submodule(plain.network.last_layer).state_dict()
    exact: Run | None = None
    for cache in caches:
        run, seconds = train(replace(recipe, cache=cache), sources)
        exact = exact or run
        learned = run.network.get_submodule(run.network.last_layer).state_dict()
        found[cache] = {
            **seconds,
            "times_faster": plain.seconds / run.seconds,
            "weights_apart": max(float((weights[k] - learned[k]).abs().max()) for k in weights),
            "logits_apart": logits_apart(exact, run),
        }
        print(f"{loss_at}, {cache}: {found[cache]}", file=sys.stderr, flush=True)
    return found


def measure(data: str, steps: int) -> dict[str, Any]:
    """The whole document; features go to a folder of their own, which is removed."""
    before = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        try:
            document = {
                "stride": compare(data, steps, "stride", ["fp32", "bf16"]),
                "full": compare(data, steps, "full", ["fp32"]),
            }
        finally:
            if before is None:
                del os.environ["XDG_CACHE_HOME"]
            else:
                os.environ["XDG_CACHE_HOME"] = before
    return {**document, "steps": steps, "threads": torch.get_num_threads(), **origin()}


def show(document: dict[str, Any]) -> None:
    """The document as a table."""
    print(
        "| loss at | features | a step, ms | times faster | building, s | whole run, s "
        "| weights apart | logits apart, of the largest |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for place in ("stride", "full"):
        for name, one in document[place].items():
            faster = f"{one['times_faster']:,.0f}" if "times_faster" in one else "-"
            building = f"{one['building']:.1f}" if "building" in one else "-"
            keys = ("weights_apart", "logits_apart")
            weights, logits = (f"{one[key]:.2g}" if key in one else "-" for key in keys)
            step = f"{1e3 * one['step']:.2f}"
            print(
                f"| {place} | {name} | {step} | {faster} | {building} | {one['whole']:.1f} "
                f"| {weights} | {logits} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="voc", metavar="NAME|PATH")
    parser.add_argument("--steps", type=int, default=12, metavar="N")
    parser.add_argument("--json", action="store_true", help="print only the document")
    options = parser.parse_args()
    if options.steps < 1:
        parser.error("--steps is at least 1")
    document = measure(options.data, options.steps)
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        show(document)
    for place in ("stride", "full"):
        apart = document[place]["fp32"]["weights_apart"]
        if apart != 0:
            sys.exit(
                f"loss at {place}: weights learned from features kept in fp32 are {apart:.2g} from "
                "those learned from the pictures; they must be the same"
            )


if __name__ == "__main__":
    main()
