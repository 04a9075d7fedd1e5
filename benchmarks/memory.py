"""Peak memory of `figureground replace` on 720p video of two lengths: it must not grow with the length.

python benchmarks/memory.py
"""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from peak import peak_memory

WIDTH, HEIGHT, RATE = 1280, 720, 30


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"peak memory of replace, {WIDTH}x{HEIGHT}, {RATE} frames/s, background blur")
        for seconds in (5, 40):
            clip = folder / f"{seconds}.mp4"
            make_clip(clip, seconds)
            print(f"  {seconds:>3} s of video: {peak_memory('replace', clip, '--output', folder / 'out.mp4'):.0f} MB")


def make_clip(path: Path, seconds: int) -> None:
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(0, 256, (HEIGHT // 16, WIDTH // 16, 3), np.uint8), np.ones((16, 16, 1), np.uint8))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(seconds * RATE):
            frame = av.VideoFrame.from_ndarray(np.roll(scene, number * 4, axis=1), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
