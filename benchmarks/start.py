"""How long the program takes to start, beside a Python that has imported numpy, in turns.

    python benchmarks/start.py PICTURE [--rounds 15]

Prints the difference of the medians. Asked: help under 150 ms, import under 100 ms; the first result of `replace`
within a second of its start.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "out.png")
        commands = {
            "numpy": ["-c", "import numpy"],
            "import figureground": ["-c", "import numpy, figureground"],
            "figureground --help": ["-m", "figureground", "--help"],
            "figureground replace": ["-m", "figureground", "replace", str(options.picture), "--output", output],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, arguments in commands.items():
                times[name].append(seconds(arguments))
    bare = median(times.pop("numpy"))
    print(f"a bare Python with numpy {bare * 1000:.0f} ms")
    for name, measured in times.items():
        print(f"{name:22} {median(measured) * 1000:5.0f} ms, {(median(measured) - bare) * 1000:+5.0f} ms")


def seconds(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
