"""A4: what changes if the network sees a*x + b instead of x?"""

from dataclasses import replace

from limner.studies.study import Arms, Setting, seeded

# (a, b): raw levels; so faint that batch norm's epsilon counts; centered; inverted.
PAIRS = ((255.0, 0.0), (0.01, 0.0), (1.0, -0.5), (-1.0, 1.0))


def plan(setting: Setting) -> Arms:
    seeds = 1 if setting.quick else 3
    unet = setting.base
    arms: Arms = {}
    for network in ("unet", "cnn"):
        base = replace(unet, name=network, network=network)
        arms[f"{network}, x"] = seeded(base, max(2, seeds))  # two, to tell seeds apart
        for a, b in PAIRS:
            name = f"{network}, {a:g}*x{b:+g}" if b else f"{network}, {a:g}*x"
            arms[name] = seeded(replace(base, scale=a, shift=b), seeds)
    return arms
