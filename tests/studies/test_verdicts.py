"""Words follow intervals."""

from pathlib import Path

import pytest

from limner.studies.seeds import over_seeds
from limner.studies.study import Setting
from limner.studies.verdicts import percent, quick_look, seeds, sign, weighed

WAYS = {
    "one": [0.3], "none": [0.1, -0.1, 0.05], "above": [0.1, 0.11, 0.12],
    "below": [-0.1, -0.11, -0.12],
}  # fmt: skip


@pytest.mark.parametrize("name", WAYS)
def test_sign(name: str) -> None:
    assert sign(over_seeds(WAYS[name])) == name


def test_weighed_says_what_the_interval_allows() -> None:
    said = {name: weighed(over_seeds(values)) for name, values in WAYS.items()}
    assert said["one"] == "+0.300 (one seed, no finding)"
    assert said["none"].endswith("(not told apart)")
    assert said["above"] == "+0.110 ± 0.025 (worse)"
    assert said["below"] == "-0.110 ± 0.025 (better)"
    assert weighed(over_seeds(WAYS["above"]), "more", "less", 1) == "+0.1 ± 0.0 (more)"


def test_small_words(tmp_path: Path) -> None:
    assert [seeds(1), seeds(3)] == ["1 seed", "3 seeds"]
    assert percent([0.125]) == "12.5 %"
    assert percent([0.1, 0.2], 0) == "15 ± 64 %"
    assert quick_look(Setting("cifar10", False, tmp_path)) == []
    assert "1,000 pictures, 3 epochs" in quick_look(Setting("cifar10", True, tmp_path))[0]
