"""B4: is a smaller batch better, or are there just more updates in an epoch?"""

from dataclasses import replace

from limner.studies.study import Arms, Setting, seeded

SIZES = (50, 100, 500, 1000)


def plan(setting: Setting) -> Arms:
    seeds = 1 if setting.quick else 3
    unet = setting.base
    cnn = replace(unet, name="cnn", network="cnn")
    updates = 30 if setting.quick else 1250
    arms: Arms = {}
    for size in SIZES:
        arms[f"unet, {size}, equal epochs"] = seeded(replace(unet, batch=size), seeds)
        arms[f"cnn, {size}, equal epochs"] = seeded(replace(cnn, batch=size), seeds)
    for size in SIZES:
        rate = unet.learning_rate * size / unet.batch
        scaled = replace(unet, batch=size, learning_rate=rate)
        arms[f"unet, {size}, scaled rate"] = seeded(scaled, seeds)
    for size in SIZES:
        equal = replace(unet, batch=size, epochs=0, steps=updates)
        arms[f"unet, {size}, equal updates"] = seeded(equal, seeds)
    return arms
