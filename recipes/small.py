"""The shipped model for live video, trained on with photographs of your own.

    figureground train DATASET --recipe small --output runs/small

Begins with the weights that ship. At 256x256 some 40 pictures a second on two idle CPU cores. How those weights were
made is in recipes/README.md; `light` learns from nothing.
"""

from figureground.training.config import Augment, Recipe

RECIPE = Recipe(
    name="small",
    network="small",
    start="small",
    size=256,
    input_size=288,
    augment=Augment(occluder=0.0, clothes=0.2),
    cache_side=416,
    epochs=20,
    learning_rate=5e-4,
    boundary_weight=2.0,
    average=0.998,
    choose_by="val_iou",
    negatives_only="clothing_*",
)
