"""Does what is learned of horses hold for other things, and for all things together?"""

from dataclasses import replace

from limner.dataset import CIFAR_CLASSES
from limner.studies.study import Arms, Setting, seeded

PICTURES = 1000  # of each category
STEPS = 500


def plan(setting: Setting) -> Arms:
    seeds = 1 if setting.quick else 3
    name = setting.data.partition(":")[0]
    steps = 30 if setting.quick else STEPS
    base = replace(setting.base, pictures=PICTURES, epochs=0, steps=steps, shuffle=True)
    sets = {category: f"{name}:{category}" for category in CIFAR_CLASSES}
    arms = {c: seeded(replace(base, name=c, data=(spec,)), seeds) for c, spec in sets.items()}
    arms["all"] = seeded(replace(base, name="all", data=tuple(sets.values())), seeds)
    if not setting.quick:
        more = replace(base, name="horse, all pictures", data=(sets["horse"],), pictures=0)
        arms["horse, all pictures"] = seeded(more, seeds)
    return arms
