"""A video killed with SIGKILL at random points, again and again, and gone on with: is the result the undisturbed one?

python benchmarks/killed_video.py [--clip FILE] [--times 20] [--seconds 120] [--seed 0] [-- MORE FLAGS OF replace]

Each round kills one run at one random moment of the time that the undisturbed run took, and lets `--resume` finish it.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
from long_video import loop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=Path("../shared/data/video/hall.mp4"))
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("more", nargs="*", help="flags of replace")
    wanted = parser.parse_args()
    rng, different = random.Random(wanted.seed), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loop(wanted.clip, folder / "in.mp4", wanted.seconds / 60, (320, 180))  # small: what it shows does not matter
        begun = time.perf_counter()
        run(folder, "whole", wanted.more).wait()
        took = time.perf_counter() - begun
        undisturbed = content(folder / "whole" / "out.mp4")
        print(f"undisturbed: {took:.1f} s, {undisturbed}")
        for number in range(wanted.times):
            at = killed_at(folder, wanted.more, rng, took)
            kept = sum(1 for path in (folder / "killed").rglob("[0-9]*.mp4"))
            code = run(folder, "killed", wanted.more).wait()
            got = content(folder / "killed" / "out.mp4") if code == 0 else f"exit code {code}"
            left = sorted(path.name for path in (folder / "killed").iterdir())
            different += got != undisturbed or left != ["out.mp4"]
            said = "equal" if got == undisturbed else got
            print(f"{number + 1:>3}: killed after {at:.1f} s, {kept} spans kept, {said}", flush=True)
            shutil.rmtree(folder / "killed")
    print(f"{wanted.times - different} of {wanted.times} results equal to the undisturbed one")
    sys.exit(different > 0)


def killed_at(folder: Path, more: list[str], rng: random.Random, took: float) -> float:
    """Kill a run after a random part of the seconds that one takes; a machine may be quicker now: then once more."""
    while True:
        at = rng.uniform(0.02, 0.98) * took
        process = run(folder, "killed", more)
        time.sleep(at)
        if process.poll() is None:
            process.kill()
            process.wait()
            return at
        shutil.rmtree(folder / "killed")


def run(folder: Path, where: str, more: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "figureground", "replace", "in.mp4", "--output", f"{where}/out.mp4", "--resume"]
    return subprocess.Popen([*command, *more], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def content(path: Path) -> str:
    """A hash of every decoded frame, its time, and every packet of sound."""
    digest = hashlib.sha256()
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            digest.update(f"{frame.pts} {frame.time_base}".encode())
            digest.update(frame.to_ndarray().tobytes())
    with av.open(str(path)) as container:
        for packet in container.demux(audio=0):
            digest.update(f"{packet.pts}".encode() + bytes(packet))
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    main()
