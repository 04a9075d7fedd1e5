"""A long 720p video through `figureground replace`: peak memory, every frame, every packet of sound.

python benchmarks/long_video.py [--clip FILE] [--minutes 20] [--codec h264]

The clip is looped, its frames scaled to 1280x720, with a rising tone as sound; a shorter video of two minutes is
measured beside it, so that what memory owes to length is seen.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from peak import peak_memory

WIDTH, HEIGHT, SAMPLES = 1280, 720, 48_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=Path("../shared/data/video/hall.mp4"))
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--short", type=float, default=2, help="minutes of the video beside it; 0: none")
    parser.add_argument("--codec", default="h264")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for minutes in filter(None, (wanted.short, wanted.minutes)):
            source, result = Path(name) / "in.mp4", Path(name) / "out.mp4"
            frames = loop(wanted.clip, source, minutes)
            begun = time.perf_counter()
            peak = peak_memory("replace", source, "--output", result, "--codec", wanted.codec)
            seconds = time.perf_counter() - begun
            print(f"{minutes:g} minutes, {frames} frames of {WIDTH}x{HEIGHT}: {frames / seconds:.1f} frames/s")
            print(f"  peak memory            {peak:.0f} MB")
            print(f"  frames, times          {same(times(source), times(result))}")
            print(f"  sound, packet by packet {same([sound(source)], [sound(result)])}")


def loop(clip: Path, path: Path, minutes: float, size: tuple[int, int] = (WIDTH, HEIGHT)) -> int:
    """Write the first 300 frames of the clip over and over; how many there are in all."""
    width, height = size
    with av.open(str(clip)) as opened:
        stream = opened.streams.video[0]
        rate = Fraction(stream.average_rate or 30)
        shown = [
            frame.reformat(width=width, height=height, format="yuv420p") for frame in islice(opened.decode(stream), 300)
        ]
    count = round(minutes * 60 * rate)
    with av.open(str(path), "w") as container:
        video = container.add_stream(
            "libx264", rate=rate, options={"preset": "ultrafast", "crf": "23", "g": str(round(2 * rate))}
        )
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLES, layout="mono")
        tone = pieces(audio, round(minutes * 60))
        for number, frame in enumerate(islice(cycle(shown), count)):
            frame.pts, frame.time_base, frame.pict_type = number, 1 / rate, 0
            container.mux(video.encode(frame))
            if number % round(rate) == 0:
                for piece in next(tone, ()):
                    container.mux(audio.encode(piece))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return count


def pieces(stream: av.AudioStream, seconds: int) -> Iterator[list[av.AudioFrame]]:
    """A second of rising tone at a time."""
    resampler = AudioResampler(format=stream.format, layout="mono", rate=SAMPLES, frame_size=stream.frame_size)
    for second in range(seconds):
        at = np.arange(SAMPLES) / SAMPLES
        wave = (0.3 * np.sin(2 * np.pi * (200 + second % 1000 + 40 * at) * at)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLES, second * SAMPLES, Fraction(1, SAMPLES)
        yield resampler.resample(frame)


def times(path: Path) -> list[float]:
    """When each frame is shown, found by decoding every one."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        return [round(float(frame.time or 0), 4) for frame in container.decode(video=0)]


def sound(path: Path) -> str:
    """The SHA-256 of all packets of sound."""
    digest = hashlib.sha256()
    with av.open(str(path)) as container:
        for packet in container.demux(audio=0):
            digest.update(bytes(packet))
    return digest.hexdigest()


def same(before: Sequence[float | str], after: Sequence[float | str]) -> str:
    return f"equal ({len(after)})" if before == after else f"DIFFERENT: {len(before)} became {len(after)}"


if __name__ == "__main__":
    main()
