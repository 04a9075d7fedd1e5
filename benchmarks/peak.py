"""The memory that a command takes."""

from __future__ import annotations

import os
import subprocess
import sys


def peak_memory(*arguments: object) -> float:
    """Run `figureground ARGUMENTS`; megabytes (10^6) resident at the peak, in the largest of its processes.

    By a shell that stays: Linux counts the peak memory of whoever starts a program as the program's own.
    """
    command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-m", "figureground", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{arguments[0]} ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
