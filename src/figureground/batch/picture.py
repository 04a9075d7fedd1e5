"""One picture: a new background, a cut-out or its matte."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Frame
from figureground.backgrounds import Background
from figureground.batch.compose import make_compose
from figureground.batch.options import Options
from figureground.batch.plan import Job
from figureground.engine import Engine
from figureground.images import read_image, write_image
from figureground.preprocess import to_matte


def replace_picture(job: Job, engine: Engine, options: Options, background: Background | None) -> None:
    """Write what `options.kind` makes of the picture at `job.input` to `job.output`.

    Raises:
        ImageError: it cannot be read.
        OutputError: the result cannot be written.
    """
    write_image(job.output, make_picture(read_image(job.input), engine, options.kind, background))


def make_picture(frame: Frame, engine: Engine, kind: str, background: Background | None) -> NDArray[np.uint8]:
    """What a `kind` is of one frame: (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey, as `make_compose` says."""
    return make_compose(kind, background)(frame, to_matte(engine(frame)), Fraction(0))
