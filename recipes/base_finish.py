"""The end of `base`'s training, at the size it runs at.

    figureground train DATASET --recipe base_finish --set backgrounds=FOLDER \\
        --set start=runs/base/best.keras --output runs/base_finish

150 to 370 s an epoch on two CPU cores with other work beside it; val accuracy .964 and IoU .868 at epoch 8, flat from
there (the run was shortened to 15 epochs at epoch 10). The shipped weights went on from epoch 8 with pictures that
models have labelled, see recipes/README.md.
"""

from figureground.training.config import Augment, Recipe

RECIPE = Recipe(
    name="base_finish",
    network="base",
    size=256,
    augment=Augment(zoom=(0.6, 1.2), occluder=0.0, clothes=0.4),
    cache_side=416,
    epochs=20,
    learning_rate=1e-3,
    warmup_epochs=0.5,
    boundary_weight=2.0,
    average=0.998,
    mixed_precision=True,
    choose_by="val_iou",
    negatives_only="clothing_*",
    validate_every=2,
)
