"""What the fuzzing scripts share: bytes into a target, guided by which lines are reached (atheris, on libFuzzer).

FOLDER keeps what is learnt (corpus/), what went wrong (crash-*, timeout-*, oom-*: give one after the options to run
it alone) and the files that are read. A target may raise a FigureGroundError, and nothing else.
"""

from __future__ import annotations

import os
import random
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import atheris

from figureground.errors import FigureGroundError

# What numbers, words and the like are replaced by, beside each other.
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|[\[\]{}<>,;:=]|\w+')
_PIECES = tuple(
    b'0|-1|1|2|64|1e9|-1e-9|1e999|NaN|99999999999999999999|0.5|[]|{}|""|null|true|"person"|"\\ud800"|,|:|;|"|\'|\n'.split(
        b"|"
    )
)


@dataclass(frozen=True, slots=True)
class Target:
    """`file`, of a source in the folder `source`, is what the bytes are written to before `run` is called with it."""

    source: Path
    file: Path
    seeds: list[bytes]
    run: Callable[[Path, Path], object]  # file, source
    most: int = 4096  # bytes


def of_text(folder: Path, run: Callable[[Path], object], *seeds: bytes) -> Target:
    folder.mkdir(parents=True, exist_ok=True)
    return Target(folder, folder / "input", list(seeds), lambda file, source: run(file))


def main(targets: Mapping[str, Callable[[Path], Target]]) -> None:
    """SCRIPT TARGET FOLDER [libFuzzer's options], or SCRIPT --list."""
    if sys.argv[1:] == ["--list"]:
        print(*targets)
        return
    if len(sys.argv) < 3 or sys.argv[1] not in targets:
        sys.exit(f"want TARGET FOLDER [libFuzzer's options]; targets: {' '.join(targets)}")
    folder, options = Path(sys.argv[2]).resolve(), sys.argv[3:]
    target = targets[sys.argv[1]](folder)
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number:02}").write_bytes(seed)
    limits = [
        f"-artifact_prefix={folder}/",
        "-rss_limit_mb=1024",
        "-timeout=10",
        f"-max_len={target.most}",
        "-print_final_stats=1",
    ]
    inputs = [] if any(not option.startswith("-") for option in options) else [str(corpus)]
    atheris.Setup([sys.argv[0], *limits, *options, *inputs], Once(target), custom_mutator=mutated)
    atheris.Fuzz()


class Once:
    """Runs a target on some bytes."""

    def __init__(self, target: Target) -> None:
        self._target, self._number = target, 0

    def __call__(self, data: bytes) -> None:
        self._number += 1
        self._target.file.write_bytes(data)
        # Files written within one tick of the clock are told apart all the same, for what is kept by their times.
        os.utime(self._target.file, ns=(self._number, self._number))
        try:
            self._target.run(self._target.file, self._target.source)
        except FigureGroundError as error:
            str(error).encode()


def mutated(data: bytes, most: int, seed: int) -> bytes:
    """Bytes changed by libFuzzer, or some tokens replaced, doubled or taken out, which leaves more of them readable."""
    rng = random.Random(seed)
    tokens = list(_TOKENS.finditer(data))
    if not tokens or rng.random() < 0.4:
        return bytes(atheris.Mutate(data, most))
    for _ in range(rng.choice((1, 1, 2, 4))):
        tokens = list(_TOKENS.finditer(data)) or tokens
        at = rng.choice(tokens)
        piece = rng.choice((b"", at[0] * 2, rng.choice(_PIECES), rng.choice(tokens)[0], rng.choice(_PIECES)))
        data = data[: at.start()] + piece + data[at.end() :]
    return data[:most]
