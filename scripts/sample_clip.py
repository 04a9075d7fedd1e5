"""Make the page's sample clip from the demo's portrait: a hand-held camera that goes there and back, without a seam.

python scripts/sample_clip.py .cache/astronaut.png .cache/sample.webm
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
from demo import HEIGHT, WIDTH, shot_of

from figureground.images import read_image

RATE, SECONDS = 25, 4
LOOK = {"crf": "34", "b:v": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}


def main(portrait: Path, output: Path) -> None:
    picture, rng = read_image(portrait), np.random.default_rng(0)
    temporary = output.with_suffix(".part")
    with av.open(str(temporary), "w", format="webm") as container:
        stream = container.add_stream("libvpx-vp9", rate=RATE, options=LOOK)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(RATE * SECONDS):
            # Smoothly from 0 to 1 and back.
            time = (1 - np.cos(2 * np.pi * number / (RATE * SECONDS))) / 2
            shot = shot_of(picture, time / 2, rng)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shot, format="rgb24")))
        container.mux(stream.encode(None))
    temporary.replace(output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
