"""The live loop in a process of its own, on a marked room, raw pictures to stdout: to be stopped and killed by tests.

python tests/live_process.py CAMERA WIDTH HEIGHT
"""

from __future__ import annotations

import signal
import sys

from figureground.live import Live, Settings, parts
from figureground.rawvideo import Pipe
from marked import Oracle


def main() -> None:
    camera, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    parts.Engine = Oracle  # type: ignore[misc, assignment]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = Settings(camera=camera, background="#00ff00", fps=60)
    try:
        with Live(settings, (width, height), [Pipe(1)]) as live:
            live.ended.wait()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
