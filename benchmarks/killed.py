"""kill -9 at random points, again and again: what comes out must be what an undisturbed run gives.

python benchmarks/killed.py [FOLDER] [--count 200] [--kills 20] [--cluster] [--seed 0]

FOLDER holds JPEG photographs; as many are drawn, and one that is none is added. `figureground replace` is started,
killed after a random time, started again..., and at last left alone. With `--cluster` it works on a local Ray cluster,
and what is killed is in turn the whole run or one worker process of it. Compared with a run that nobody disturbed: the
files, byte for byte, and the manifest but for its times. Ends with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from figureground.batch.manifest import NAME

FOLDER = Path("../shared/data/people/images")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        draw(options.folder, options.count, work / "in", rng)
        seconds = undisturbed(work)
        print(f"{options.count} photographs, {seconds:.0f} s undisturbed, {options.kills} kills", flush=True)
        disturb(work, options.kills, seconds, options.cluster, rng)
        same = tree(work / "out") == tree(work / "whole") and told(work / "out") == told(work / "whole")
        print("the same files and the same manifest" if same else "NOT THE SAME")
        sys.exit(not same)


def draw(folder: Path, count: int, into: Path, rng: random.Random) -> None:
    for number, path in enumerate(rng.sample(sorted(folder.rglob("*.jpg")), count)):
        (into / str(number % 5)).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, into / str(number % 5) / path.name)
    (into / "0" / "broken.jpg").write_bytes(b"no picture")


def command(output: str, cluster: bool) -> list[str]:
    line = [sys.executable, "-m", "figureground", "replace", "in", "--kind", "cutout", "--output", output]
    return [*line, "--cluster", "local"] if cluster else line


def start(work: Path, output: str, cluster: bool) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(output, cluster), cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def undisturbed(work: Path) -> float:
    began = time.monotonic()
    if start(work, "whole", cluster=False).wait() != 1:
        raise SystemExit("the undisturbed run did not end with 1, as it should for the broken one")
    return time.monotonic() - began


def disturb(work: Path, kills: int, seconds: float, cluster: bool, rng: random.Random) -> None:
    for number in range(kills):
        begun = done(work)
        run = start(work, "out", cluster)
        if cluster or number % 4:  # most of them in the work, not in the start
            while done(work) == begun and run.poll() is None:
                time.sleep(0.01)
        time.sleep(rng.uniform(0, 2 * seconds / kills))
        victim = run.pid
        if cluster and number % 2 and (busy := workers(run.pid)):
            victim = rng.choice(busy)
        what = "a worker" if victim != run.pid else "the run"
        if run.poll() is None:
            os.kill(victim, signal.SIGKILL)
        if victim != run.pid:  # the others finish its work
            run.wait()
        run.wait()
        print(f"  kill {number + 1}: {what}, {done(work)} results", flush=True)
        if number % 5 == 4:  # else nothing would be left to do for the later ones
            for path in rng.sample(sorted(work.glob("out/*/[!.]*.png")), done(work) // 2):
                path.unlink()
    if start(work, "out", cluster).wait() != 1:
        raise SystemExit("the last run did not end with 1")


def workers(run: int) -> list[int]:
    """The processes that are at a shard, of this run's cluster."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::_shard") and run in ancestors(int(path.parent.name)):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def ancestors(process: int) -> list[int]:
    found = []
    while process > 1:
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(process)
    return found


def done(work: Path) -> int:
    return len([*work.glob("out/*/[!.]*.png")])


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*") if path.name != NAME}


def told(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) | {"ms": 0} for line in (folder / NAME).read_text(encoding="utf-8").splitlines()]
    return sorted(lines, key=lambda line: str(line["input"]))


if __name__ == "__main__":
    main()
