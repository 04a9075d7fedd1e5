"""The end of `small`'s training, at the size it runs at.

    figureground train DATASET --recipe small_finish --set backgrounds=FOLDER \\
        --set start=runs/small/best.keras --output runs/small_finish
"""

from figureground.training.config import Augment, Recipe

RECIPE = Recipe(
    name="small_finish",
    size=256,
    augment=Augment(zoom=(0.7, 1.2)),
    cache_side=416,
    epochs=16,
    learning_rate=6e-4,
    warmup_epochs=0.5,
    boundary_weight=2.0,
    average=0.998,
    mixed_precision=True,
    validate_every=2,
)
