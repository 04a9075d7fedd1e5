"""Running commands without a network, and noticing those that look for one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

# Python reads a module of this name by itself when it starts, in every process.
REFUSES_SOCKETS = """\
import os, socket, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto") and not (
        event == "socket.connect" and arguments[0].family == socket.AF_UNIX
    ):
        os.write(2, f"a socket was used: {event} {arguments!r}\\n".encode())
        os._exit(99)

sys.addaudithook(refuse)
"""


def surroundings(folder: Path) -> dict[str, str]:
    """An environment in which `figureground` and `python` are those under test and no process gets a socket anywhere.

    `folder` takes what that needs.
    """
    for program, line in {"figureground": '-m figureground "$@"', "python": '"$@"'}.items():
        (folder / program).write_text(f'#!/bin/sh\nexec "{sys.executable}" {line}\n', encoding="utf-8")
        (folder / program).chmod(0o755)
    (folder / "sitecustomize.py").write_text(REFUSES_SOCKETS, encoding="utf-8")
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": path}


def without_network() -> list[str]:
    """What a command begins with to be run in a network namespace that has no interfaces, where that can be had."""
    unshare = shutil.which("unshare")
    can = unshare is not None and subprocess.run([unshare, "-rn", "true"], capture_output=True).returncode == 0
    return [str(unshare), "-rn"] if can else []
