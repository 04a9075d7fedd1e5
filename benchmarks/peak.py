"""The memory that a command takes."""

from __future__ import annotations

import subprocess
import sys

# A process of its own between this one and the command: Linux counts the peak of whoever starts a program as the
# program's own, and this one is small.
LAUNCHER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def peak_memory(*arguments: object) -> float:
    """Run `figureground ARGUMENTS`; megabytes (10^6) resident at the peak, in the largest of its processes."""
    command = [sys.executable, "-m", "figureground", *map(str, arguments)]
    done = subprocess.run([sys.executable, "-c", LAUNCHER, *command], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{arguments[0]} ended with {done.returncode}")
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024) / 1e6
