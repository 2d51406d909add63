"""What a model gains on a person's kind of pictures, and what it forgets of others.

    python benchmarks/personalize.py [--seeds N] [--json]

The embedded model `photo` learns from a set's training pictures (CamVid's streets, the Kodachromes
of `early`), its bias alone or its whole last layer, at half and at full strength. Scored on that
set's own pictures which it has not seen (CamVid's test, early's val) and on `photos` val, which is
what it knew. Mean ab error, less is better, with its 95 % bootstrap interval over pictures in the
document. About 25 minutes a seed on two cores.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from limner import weights
from limner.evaluate import evaluate
from limner.learn.export import load
from limner.learn.personalize import personalize
from limner.studies.record import origin

MODEL = "photo"
KINDS = {"camvid": "test", "early": "val"}  # what is learned, and the split that scores it
KNOWN = ("photos", "val")
ARMS = (("bias", 1.0), ("last layer", 0.5), ("last layer", 1.0))


def ab_error(model: str, data: str, split: str) -> dict[str, Any]:
    """The model's mean ab error on a set, and that of grey."""
    rows = evaluate(model, data, split)["rows"]
    return {row: rows[row]["ab_error"] for row in ("ours", "grey")}


def measure(seeds: int) -> dict[str, Any]:
    """The whole document."""
    source = weights.path(MODEL)
    network, _ = load(source)
    known = ab_error(MODEL, *KNOWN)
    kinds = {}
    for data, split in KINDS.items():
        arms: dict[str, Any] = {"before": [{"own": ab_error(MODEL, data, split), "known": known}]}
        for part, strength in ARMS:
            learn = f"{network.last_layer}.bias" if part == "bias" else None
            for seed in range(seeds):
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "mine.onnx"
                    begin = time.perf_counter()
                    personalize(source, data, path, strength=strength, learn=learn, seed=seed)
                    seconds = time.perf_counter() - begin
                    found = {
                        "own": ab_error(str(path), data, split),
                        "known": ab_error(str(path), *KNOWN),
                        "seconds": seconds,
                    }
                name = f"{part}, strength {strength:g}"
                arms.setdefault(name, []).append(found)
                print(f"{data}, {name}, seed {seed}: {seconds:.0f} s", file=sys.stderr, flush=True)
        kinds[data] = arms
    return {"model": MODEL, "kinds": kinds, "seeds": seeds, **origin()}


def show(document: dict[str, Any]) -> None:
    """The document as tables."""
    print("| learned from | what learns | seconds | own kind | photos val |\n|---|---|---|---|---|")
    for data, arms in document["kinds"].items():
        for name, found in arms.items():
            own, known = (
                sum(one[kind]["ours"]["value"] for one in found) / len(found)
                for kind in ("own", "known")
            )
            seconds = [one["seconds"] for one in found if "seconds" in one]
            took = f"{sum(seconds) / len(seconds):.0f}" if seconds else "-"
            print(f"| {data} | {name} | {took} | {own:.2f} | {known:.2f} |")
        grey = arms["before"][0]
        values = [f"{grey[kind]['grey']['value']:.2f}" for kind in ("own", "known")]
        print(f"| {data} | grey, no model | - | {values[0]} | {values[1]} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    parser.add_argument("--json", action="store_true", help="print only the document")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error("--seeds is at least 1")
    document = measure(options.seeds)
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        show(document)


if __name__ == "__main__":
    main()
