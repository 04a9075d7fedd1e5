"""The network for photographs at 128x128: most of what `base` knows is learnt here.

figureground train DATASET --recipe base --set backgrounds=FOLDER --output runs/base
"""

from figureground.training.config import Augment, Recipe

RECIPE = Recipe(
    name="base",
    network="base",
    size=128,
    augment=Augment(occluder=0.0, clothes=0.25),
    epochs=110,
    learning_rate=2e-3,
    boundary_weight=2.0,
    average=0.999,
    mixed_precision=True,
    choose_by="val_iou",
    negatives_only="clothing_*",
    validate_every=5,
)
