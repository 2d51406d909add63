"""metrics.jsonl: what a run measured on its way, one JSON record a line."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from limner.errors import TrainingError
from limner.files import write_atomically
from limner.learn.run import Run, learning_rate

Report = Callable[[int, int, dict[str, Any] | None], None]  # step, steps, record or None


class Metrics:
    """metrics.jsonl: one record a line; what lies beyond the checkpoint taken up is dropped."""

    def __init__(self, run: Run, report: Report | None) -> None:
        self.run, self.report, self.path = run, report, run.folder / "metrics.jsonl"
        kept = []
        if self.path.exists():
            lines = self.path.read_text().split("\n")[:-1]  # a line without its end was cut short
            kept = [line for line in lines if _step(self.path, line) <= run.step]
        write_atomically(self.path, "".join(f"{line}\n" for line in kept).encode())
        self.waiting: list[dict[str, Any]] = []

    def training(self, losses: list[torch.Tensor]) -> None:
        """Record the mean loss of the last steps. Raises TrainingError at the first NaN."""
        values = torch.stack(losses).cpu()
        wrong = torch.nonzero(~torch.isfinite(values))
        if len(wrong):
            step = self.run.step - len(values) + int(wrong[0]) + 1
            raise diverged(step, "loss", float(values[wrong[0]]))
        self.add({"loss": round(float(values.mean()), 6)})

    def validation(self, scores: dict[str, float]) -> None:
        """Record a validation. Raises TrainingError if its loss is not a number."""
        if not math.isfinite(scores["loss"]):
            raise diverged(self.run.step, "validation loss", scores["loss"])
        self.add({"validation": {name: round(value, 6) for name, value in scores.items()}})

    def add(self, values: dict[str, Any]) -> None:
        step = {"step": self.run.step, "seconds": round(self.run.seconds, 2)}
        record = {
            **step,
            "learning_rate": learning_rate(self.run.recipe, self.run.step - 1, self.run.steps),
        }
        self.waiting.append({**record, **values})
        if self.report:
            self.report(self.run.step, self.run.steps, self.waiting[-1])

    def flush(self) -> None:
        """Append what waits, just before the checkpoint that covers it is saved."""
        try:
            with self.path.open("a") as file:
                file.writelines(json.dumps(record) + "\n" for record in self.waiting)
        except OSError as error:
            raise TrainingError(
                f"{self.path}: cannot be written ({error.strerror}); make room, "
                f"then go on with: limner train {self.run.folder}"
            ) from error
        self.waiting = []


def _step(path: Path, line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: a damaged line ({line:.60}); remove the line") from error


def diverged(step: int, what: str, value: float) -> TrainingError:
    return TrainingError(
        f"step {step:,}: the {what} is {value}; "
        "start anew with a lower one: --set learning_rate=..."
    )
