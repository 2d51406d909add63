"""sRGB, linear light, XYZ and CIELAB; gamut, color difference, colorfulness.

Arrays are [..., 3] unless said. Float32 in gives float32 out, float64 gives float64.
White is the matrix times (1, 1, 1), so that every grey has a and b of 0.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Bytes = NDArray[np.uint8]


def _matrix_to_xyz() -> NDArray[np.float64]:
    """Linear RGB -> XYZ from the primaries of ITU-R BT.709 and D65 at (0.3127, 0.3290)."""
    x = np.array([0.640, 0.300, 0.150])
    y = np.array([0.330, 0.600, 0.060])
    primaries = np.stack([x / y, np.ones(3), (1 - x - y) / y])
    white = np.array([0.3127 / 0.3290, 1.0, (1 - 0.3127 - 0.3290) / 0.3290])
    return primaries * np.linalg.solve(primaries, white)


TO_XYZ = _matrix_to_xyz()
FROM_XYZ = np.linalg.inv(TO_XYZ)
WHITE = TO_XYZ.sum(axis=1)

# CIE 15:2004: f is a cube root above DELTA**3 and a straight line below.
DELTA = 6 / 29
# IEC 61966-2-1 gives the foot of the curve on the encoded side; the same point on the
# linear side keeps there-and-back exact.
SRGB_FOOT = 0.04045
LINEAR_FOOT = SRGB_FOOT / 12.92


def _floats(values: NDArray[Any]) -> Floats:
    array = np.asarray(values)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def srgb_to_linear(srgb: Floats) -> Floats:
    """sRGB 0..1 -> linear light 0..1 (IEC 61966-2-1); odd for negatives."""
    srgb = _floats(srgb)
    size = np.abs(srgb)
    curve = ((size + 0.055) / 1.055) ** 2.4
    return np.copysign(np.where(size <= SRGB_FOOT, size / 12.92, curve), srgb)


def linear_to_srgb(linear: Floats) -> Floats:
    """Linear light 0..1 -> sRGB 0..1 (IEC 61966-2-1); odd for negatives."""
    linear = _floats(linear)
    size = np.abs(linear)
    curve = 1.055 * size ** (1 / 2.4) - 0.055
    return np.copysign(np.where(size <= LINEAR_FOOT, size * 12.92, curve), linear)


def linear_to_xyz(linear: Floats) -> Floats:
    """Linear RGB -> XYZ, Y of white = 1."""
    linear = _floats(linear)
    return linear @ TO_XYZ.T.astype(linear.dtype)


def xyz_to_linear(xyz: Floats) -> Floats:
    """XYZ (Y of white = 1) -> linear RGB, unclipped."""
    xyz = _floats(xyz)
    return xyz @ FROM_XYZ.T.astype(xyz.dtype)


def _f(t: Floats) -> Floats:
    return np.where(t > DELTA**3, np.cbrt(t), t / (3 * DELTA**2) + 4 / 29)


def _f_inverse(f: Floats) -> Floats:
    t: Floats = f * f * f
    foot = f <= DELTA
    t[foot] = 3 * DELTA**2 * (f[foot] - 4 / 29)
    return t


def xyz_to_lab(xyz: Floats) -> Floats:
    """XYZ -> CIELAB 1976: L* 0..100, a and b about -128..128."""
    xyz = _floats(xyz)
    f = _f(xyz / WHITE.astype(xyz.dtype))
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_xyz(lab: Floats) -> Floats:
    """CIELAB 1976 -> XYZ, Y of white = 1."""
    lab = _floats(lab)
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz: Floats = _f_inverse(f) * WHITE.astype(lab.dtype)
    return xyz


def rgb_to_lab(rgb: Floats) -> Floats:
    """sRGB 0..1 -> CIELAB."""
    return xyz_to_lab(linear_to_xyz(srgb_to_linear(rgb)))


def lab_to_linear(lab: Floats) -> Floats:
    """CIELAB -> linear RGB, unclipped: colors outside sRGB leave 0..1."""
    return xyz_to_linear(lab_to_xyz(lab))


def lab_to_rgb(lab: Floats) -> Floats:
    """CIELAB -> sRGB, unclipped: colors outside sRGB leave 0..1."""
    return linear_to_srgb(lab_to_linear(lab))


def luminance(linear: Floats) -> Floats:
    """Linear RGB [..., 3] -> Y [...], 1 for white."""
    linear = _floats(linear)
    y: Floats = linear @ TO_XYZ[1].astype(linear.dtype)
    return y


def lightness(luminance: Floats) -> Floats:
    """Y (white = 1) -> L* 0..100, any shape."""
    light: Floats = 116 * _f(_floats(luminance)) - 16
    return light


def fit_gamut(linear: Floats) -> Floats:
    """Move colors outside sRGB towards the grey of the same luminance until they fit.

    Linear RGB [..., 3] -> linear RGB in 0..1: Y + t (rgb - Y) with the largest t <= 1 that
    fits, so that chroma is lost and light is kept (Y itself is held to 0..1).
    """
    linear = _floats(linear)
    outside = ((linear < 0) | (linear > 1)).any(axis=-1)
    if not outside.any():
        return linear
    fitted = linear.copy()
    fitted[outside] = _fit(linear[outside])
    return fitted


def lab_to_rgb8(lab: Floats) -> Bytes:
    """CIELAB [..., 3] -> 8-bit sRGB; colors outside sRGB lose chroma and keep their light."""
    rgb = linear_to_srgb(fit_gamut(lab_to_linear(lab)))
    return np.rint(255 * rgb).astype(np.uint8)


def _fit(linear: Floats) -> Floats:
    grey = luminance(linear).clip(0, 1)[:, None]
    away = linear - grey
    above, below = 1 - grey, grey
    # The largest step away from grey on each side; a step shorter than the room sets no limit.
    up = np.maximum(away.max(axis=1, keepdims=True), above)
    down = np.maximum(-away.min(axis=1, keepdims=True), below)
    t = np.minimum(above / np.maximum(up, 1e-9), below / np.maximum(down, 1e-9))
    fitted: Floats = (grey + t * away).clip(0, 1)
    return fitted


# ---- whole photographs: 8-bit pixels through tables, in blocks that stay in the cache
# (the way back, chroma joined with light, is paint/join.py)

BLOCK = 1 << 15
# The foot of f is steep: this many steps keep a within 0.02 of the formula.
F_STEPS = 400_000

_LINEAR = srgb_to_linear(np.arange(256) / 255)
# Whole steps, so that grey gives one index three times and a and b of exactly 0.
_STEPS_OF_BYTE = np.rint(_LINEAR * F_STEPS).astype(np.float32)
_LIGHT_OF_BYTE = lightness(_LINEAR).astype(np.float32)
_F = _f(np.arange(F_STEPS + 1) / F_STEPS).astype(np.float32)
_TO_RELATIVE_XYZ = (TO_XYZ / WHITE[:, None]).astype(np.float32)


def gray8_to_light(gray: Bytes) -> NDArray[np.float32]:
    """8-bit sRGB grey, any shape -> L* 0..100."""
    return _LIGHT_OF_BYTE[gray]


def rgb8_to_lab(rgb: Bytes) -> NDArray[np.float32]:
    """8-bit sRGB [..., 3] -> CIELAB float32, within 0.02 of the formula."""
    lab = np.empty(rgb.shape, np.float32)
    pixels, out = rgb.reshape(-1, 3), lab.reshape(-1, 3)
    for start in range(0, len(pixels), BLOCK):
        index = _TO_RELATIVE_XYZ @ _STEPS_OF_BYTE.take(pixels[start : start + BLOCK].T)
        index += 0.5
        x, y, z = _F.take(index.astype(np.int32))
        block = out[start : start + BLOCK]
        block[:, 0] = 116 * y - 16
        block[:, 1] = 500 * (x - y)
        block[:, 2] = 200 * (y - z)
    return lab


# ---- measures


def de2000(lab1: Floats, lab2: Floats) -> Floats:
    """Color difference CIEDE2000, [..., 3] and [..., 3] -> [...] (Sharma, Wu, Dalal 2005)."""
    lab1, lab2 = _floats(lab1), _floats(lab2)
    l1, l2 = lab1[..., 0], lab2[..., 0]
    b1, b2 = lab1[..., 2], lab2[..., 2]
    chroma = (np.hypot(lab1[..., 1], b1) + np.hypot(lab2[..., 1], b2)) / 2
    stretch = 1.5 - 0.5 * _saturated(chroma)
    a1, a2 = lab1[..., 1] * stretch, lab2[..., 1] * stretch
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = _hue(a1, b1), _hue(a2, b2)

    # The shorter way around; hues exactly 180 apart keep their sign, as in the paper.
    turn = h2 - h1 - 360 * np.rint((h2 - h1) / 360)
    d_light, d_chroma = l2 - l1, c2 - c1
    d_hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))

    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    hue = (h1 + turn / 2) % 360
    t = (
        1
        - 0.17 * np.cos(np.radians(hue - 30))
        + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6))
        - 0.20 * np.cos(np.radians(4 * hue - 63))
    )
    off = (light - 50) ** 2
    s_light = 1 + 0.015 * off / np.sqrt(20 + off)
    s_chroma = 1 + 0.045 * chroma
    s_hue = 1 + 0.015 * chroma * t
    rotation = -2 * _saturated(chroma) * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    dc, dh = d_chroma / s_chroma, d_hue / s_hue
    difference: Floats = np.sqrt((d_light / s_light) ** 2 + dc**2 + dh**2 + rotation * dc * dh)
    return difference


def _hue(a: Floats, b: Floats) -> Floats:
    """0..360 degrees."""
    hue = np.degrees(np.arctan2(b, a))
    return np.where(hue < 0, hue + 360, hue)


def _saturated(chroma: Floats) -> Floats:
    """sqrt(C^7 / (C^7 + 25^7)), 0..1; products, because powers are slow."""
    cubed = chroma * chroma * chroma
    seventh = cubed * cubed * chroma
    share: Floats = np.sqrt(seventh / (seventh + 25.0**7))
    return share


def colorfulness(rgb: Bytes) -> float:
    """How colorful 8-bit sRGB [H, W, 3] is (Hasler, Suesstrunk 2003): 0 for any grey.

    Signed opponent channels on the scale 0..255, population deviations.
    """
    r, g, b = np.moveaxis(rgb.astype(np.float64), -1, 0)
    red_green, yellow_blue = r - g, (r + g) / 2 - b
    spread = np.hypot(red_green.std(), yellow_blue.std())
    center = np.hypot(red_green.mean(), yellow_blue.mean())
    return float(spread + 0.3 * center)
