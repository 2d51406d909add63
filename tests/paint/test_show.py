"""Pictures about a painting can be read: the ramp rises, the legend names its ends."""

import numpy as np

from limner.color import rgb8_to_lab
from limner.paint import show


def test_the_ramp_rises_in_light() -> None:
    light = rgb8_to_lab(show.ramp(np.linspace(0, 1, 50, dtype=np.float32)))[:, 0]
    assert (np.diff(light) > 0).all()
    assert light[0] < 25 and light[-1] > 85


def test_the_legend() -> None:
    picture = np.full((30, 300, 3), 7, np.uint8)
    shown = show.with_legend(picture)
    assert np.array_equal(shown[:30], picture)
    bar = shown[30 + show.GAP]
    assert np.array_equal(bar, show.ramp(np.linspace(0, 1, 300, dtype=np.float32)))
    letters = (shown[-5 * show.SCALE :] == 0).all(axis=-1)
    # Unsure at the left, 0.5 in the middle, sure at the right; white between them.
    for columns in (slice(0, 70), slice(130, 170), slice(230, 300)):
        assert letters[:, columns].any()
    assert not letters[:, 70:130].any() and not letters[:, 170:230].any()


def test_a_narrow_picture_gets_a_readable_legend() -> None:
    assert show.with_legend(np.zeros((50, 1, 3), np.uint8)).shape[1] == show.LEGEND_WIDTH


def test_side_by_side() -> None:
    before, after = np.full((4, 3), 10, np.uint8), np.full((4, 3, 3), 20, np.uint8)
    both = show.side_by_side(before, after)
    assert both.shape == (4, 6 + show.GAP, 3)
    assert (both[:, :3] == 10).all() and (both[:, -3:] == 20).all()
    assert (both[:, 3:-3] == 255).all()
