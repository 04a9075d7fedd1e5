"""The shipped model for photographs, trained on with photographs of your own.

    figureground train DATASET --recipe base --output runs/base

Begins with the weights that ship. At 256x256 some 10 pictures a second on two idle CPU cores: a GPU, or a night.
How those weights were made is in recipes/README.md.
"""

from figureground.training.config import Augment, Recipe

RECIPE = Recipe(
    name="base",
    network="base",
    start="base",
    size=256,
    augment=Augment(occluder=0.0, clothes=0.2),
    cache_side=416,
    epochs=20,
    learning_rate=3e-4,
    boundary_weight=2.0,
    average=0.998,
    choose_by="val_iou",
    negatives_only="clothing_*",
)
