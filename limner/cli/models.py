"""`limner models`: the models inside the package."""

from typing import TYPE_CHECKING, Any

from limner.cli.options import Json
from limner.cli.terminal import print_json, print_table, say

if TYPE_CHECKING:
    from limner.card import Card

TERMS = "The weights have terms of their own, not those of the code: limner/weights/LICENSE."
SCORES = ("auc", "psnr")  # the main ones; `limner models --json` prints all


def models(json: Json = False) -> None:
    """List the models that ship with limner: what they are, learned from, and reach.

    Their weights have terms of their own, because their training pictures do.

    \b
    Examples:
      limner models
      limner models --json
      limner colorize old.jpg -o colorized --model photo
    """
    from limner import weights
    from limner.card import Model

    found = [(weights.path(name), Model(weights.path(name)).card) for name in weights.names()]
    documents = [_document(card, path.stat().st_size) for path, card in found]
    if json:
        print_json({"models": documents, "terms": TERMS})
        return
    rows = [
        [d["name"], d["task"], f"{d['bytes'] / 1e6:.1f} MB", d["network"], d["data"], d["terms"]]
        for d in documents
    ]
    print_table(["name", "task", "size", "network", "trained on", "terms"], rows)
    say(TERMS)


def _document(card: "Card", size: int) -> dict[str, Any]:
    return {
        "name": card.name,
        "task": card.task,
        "bytes": size,
        "network": card.network["name"],
        "data": ", ".join(card.data),
        "terms": card.license,
        "scores": card.scores,
    }
