"""`small` from photographs that anyone may use: those with a permissive licence, and an encoder learnt on ImageNet.

    python scripts/permissive.py DATA free
    python scripts/distill/imagenet_start.py efficientnet-lite0.pth runs/imagenet_start.keras
    figureground train DATASET --recipe small_permissive --set backgrounds=free/backgrounds/train \\
        --set start=runs/imagenet_start.keras --output runs/small_permissive

DATASET is free/people of the first command. Not shipped: it learns whole bodies, but no faces near the camera
(recipes/README.md).
"""

from figureground.training.config import Augment, Recipe

RECIPE = Recipe(
    name="small_permissive",
    network="small",
    size=192,
    input_size=288,
    augment=Augment(
        swap_background=0.5,
        second_person=0.2,
        others=2,
        occluder=0.0,
        clothes=0.2,
        negative=0.12,
        cut=0.1,
        zoom=(0.4, 1.4),
    ),
    cache_side=416,
    batch=32,
    epochs=40,
    learning_rate=1e-3,
    warmup_epochs=1.0,
    weight_decay=0.01,
    boundary_weight=2.0,
    average=0.995,
    choose_by="val_iou",
    negatives_only="clothing_*",
    validate_every=2,
)
