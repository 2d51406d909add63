"""Chroma joined with the original light: light and ab -> 8-bit sRGB, fast enough for a photograph.

The same colors as `color.lab_to_rgb8` (out of gamut, chroma is lost and light is kept), worked on
whole planes of rows: 24 megapixels in well under a second a core.
"""

import numpy as np
from numpy.typing import NDArray

from limner.color import (
    DELTA,
    FROM_XYZ,
    TO_XYZ,
    WHITE,
    gray8_to_light,
    lightness,
    linear_to_srgb,
    srgb_to_linear,
)
from limner.paint.blocks import block_rows

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

LIGHT_STEPS = (1 << 16) - 1  # of luminance: L* is at most 0.014 apart
ENCODE_STEPS = 1 << 14  # of linear light: at most a fifth of a level of sRGB apart
TINY = np.float32(1e-9)

# Luminance of each channel's 256 levels, in steps; their sum is an index into _LIGHT.
_STEPS = np.outer(TO_XYZ[1] * LIGHT_STEPS, srgb_to_linear(np.arange(256) / 255)).astype(np.float32)
_LIGHT = lightness(np.arange(LIGHT_STEPS + 1) / LIGHT_STEPS).astype(np.float32)
_ENCODED = np.rint(255 * linear_to_srgb(np.arange(ENCODE_STEPS + 1) / ENCODE_STEPS)).astype(
    np.uint8
)
_FROM_RELATIVE = (FROM_XYZ * WHITE).astype(np.float32)  # rows sum to 1: X = Y = Z is a grey


def light_of(pixels: Pixels) -> Floats:
    """The light of 8-bit pixels: [..., W] grey or [..., W, 3] sRGB -> L* float32 [..., W]."""
    if pixels.ndim == 2:
        return gray8_to_light(pixels)
    steps = _STEPS[0].take(pixels[..., 0])
    steps += _STEPS[1].take(pixels[..., 1])
    steps += _STEPS[2].take(pixels[..., 2])
    steps += np.float32(0.5)
    light: Floats = _LIGHT.take(steps.astype(np.int32))
    return light


def join(light: Floats, a: Floats, b: Floats) -> Pixels:
    """L* and ab, [H, W] each -> 8-bit sRGB [H, W, 3]. No chroma gives R = G = B exactly."""
    rgb = np.empty((*light.shape, 3), np.uint8)
    step = block_rows(light.shape[1])
    for top in range(0, len(light), step):
        part = slice(top, top + step)
        _join_block(light[part], a[part], b[part], rgb[part])
    return rgb


def _join_block(light: Floats, a: Floats, b: Floats, out: Pixels) -> None:
    y_root = light + np.float32(16)
    y_root *= np.float32(1 / 116)
    x = a * np.float32(1 / 500)
    x += y_root
    z = b * np.float32(-1 / 200)
    z += y_root
    y = _cubed(y_root)
    x, z = _cubed(x), _cubed(z)
    x -= y
    z -= y
    away = [from_x * x + from_z * z for from_x, _, from_z in _FROM_RELATIVE]  # RGB less grey
    step = _step(y, away)
    y *= np.float32(ENCODE_STEPS)
    y += np.float32(0.5)
    step *= np.float32(ENCODE_STEPS)
    for channel, plane in enumerate(away):
        plane *= step
        plane += y
        out[..., channel] = _ENCODED.take(plane.astype(np.int32), mode="clip")


def _cubed(f: Floats) -> Floats:
    """The inverse of CIELAB's f: a cube, and below DELTA the tangent to it."""
    if f.min() >= DELTA:  # saves half of the work where nothing is black, and changes no bit
        return f * f * f
    curve = np.maximum(f, np.float32(DELTA))
    straight = f - curve  # 0 on the curve, negative below it
    straight *= np.float32(3 * DELTA**2)
    straight += curve * curve * curve
    return straight


def _step(y: Floats, away: list[Floats]) -> Floats:
    """The largest t <= 1 for which y + t away stays in 0..1, in every channel."""
    above = 1 - y
    up = np.maximum(np.maximum(away[0], away[1]), away[2])
    np.maximum(up, above, out=up)
    np.maximum(up, TINY, out=up)
    above /= up
    down = np.minimum(np.minimum(away[0], away[1]), away[2])
    np.negative(down, out=down)
    np.maximum(down, y, out=down)
    np.maximum(down, TINY, out=down)
    np.divide(y, down, out=down)
    return np.minimum(above, down, out=above)
