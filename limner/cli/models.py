"""`limner models`: the models inside the package."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from limner.cli.options import Json
from limner.cli.terminal import print_json, say

if TYPE_CHECKING:
    from limner.card import Card

TERMS = "weights have terms of their own, not those of the code: see limner/weights/LICENSE"


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
    for card, document in zip((card for _, card in found), documents, strict=True):
        print(card.name)
        for label, text in {
            "task": card.task,
            "size": f"{document['bytes'] / 1e6:.1f} MB, {len(card.palette)} classes",
            "network": " ".join([card.network["name"], *_pairs(card.network["arguments"])]),
            "trained on": ", ".join(
                f"{name} ({part['pictures']:,} pictures)" for name, part in card.data.items()
            ),
            "scores": "; ".join(_scores(card.scores)),
            "terms": card.license,
        }.items():
            print(f"  {label:<11} {text}")
    say(TERMS if documents else "no models in this package; give a model's file to --model")


def _document(card: "Card", size: int) -> dict[str, Any]:
    return {
        "name": card.name,
        "task": card.task,
        "bytes": size,
        "network": card.network,
        "data": card.data,
        "terms": card.license,
        "scores": card.scores,
    }


def _pairs(arguments: dict[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in arguments.items()]


def _scores(scores: dict[str, Any]) -> Iterator[str]:
    """Each set's scores, as "voc, n 434: auc ours 0.896, grey 0.877"."""
    for name, columns in scores.items():
        for column, rows in columns.items():
            if column != "n":
                values = (f"{row} {score['value']:.4g}" for row, score in rows.items())
                yield f"{name}, n {columns['n']}: {column} {', '.join(values)}"
