"""The end of the light network's training, at the size it runs at.

    figureground train DATASET --recipe light_finish --set backgrounds=FOLDER \\
        --set start=runs/light/best.keras --set epochs=36 --set learning_rate=1e-3 --output runs/light_finish

40 s an epoch on two idle CPU cores; val accuracy .963 and IoU .855.
"""

from figureground.training.config import Augment, Recipe

RECIPE = Recipe(
    name="light_finish",
    size=256,
    augment=Augment(zoom=(0.6, 1.2), occluder=0.0, clothes=0.4),
    cache_side=416,
    epochs=16,
    learning_rate=5e-4,
    warmup_epochs=0.5,
    boundary_weight=2.0,
    average=0.998,
    mixed_precision=True,
    choose_by="val_iou",
    negatives_only="clothing_*",
    validate_every=2,
)
