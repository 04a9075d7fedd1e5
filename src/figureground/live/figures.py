"""Times and rates of a running loop, over its last pictures."""

from __future__ import annotations

import os
import time
from collections import deque
from statistics import median

KEPT = 300  # pictures that medians and percentiles are taken over
STAGES = ("wait", "resize", "infer", "stabilise", "refine", "background", "composite", "send")


class Figures:
    """What the loop notes and others read; threads may read while one writes."""

    def __init__(self) -> None:
        self._stages: dict[str, deque[float]] = {name: deque(maxlen=KEPT) for name in STAGES}
        self._latencies: deque[float] = deque(maxlen=KEPT)
        self._sent: deque[float] = deque(maxlen=KEPT)
        self._processor: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self._last = 0.0

    def begin(self) -> None:
        """A picture begins; the first lap counts from here."""
        self._last = time.perf_counter()

    def lap(self, stage: str, seconds: float | None = None) -> None:
        """`stage` is done: it took the time since the last lap, or `seconds`."""
        now = time.perf_counter()
        self._stages[stage].append(now - self._last if seconds is None else seconds)
        self._last = now

    def sent(self, now: float, latency: float) -> float:
        """A picture is out at `now`, monotonic seconds; gives the processor seconds since the last one."""
        self._latencies.append(latency)
        self._sent.append(now)
        used = time.process_time()
        since = used - self._processor[-1][1] if self._processor else 0.0
        self._processor.append((now, used))
        return since

    def stages_ms(self) -> dict[str, float]:
        """The median of each stage that was run, in milliseconds."""
        return {name: round(1000 * median(times), 2) for name, kept in self._stages.items() if (times := list(kept))}

    def latency_ms(self) -> dict[str, float]:
        """From the camera's hand-over to the picture sent, in milliseconds."""
        ordered = sorted(self._latencies)
        at = {"p50": 0.5, "p95": 0.95}
        return {
            name: round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else 0.0
            for name, share in at.items()
        }

    def rate(self, now: float) -> float:
        """Pictures in the last second."""
        return float(sum(1 for at in list(self._sent) if now - at < 1.0))

    def processor_share(self) -> float:
        """Of one core, over the last pictures; 1: one core is busy all the time."""
        kept = list(self._processor)[-60:]
        if len(kept) < 2 or kept[-1][0] <= kept[0][0]:
            return 0.0
        return round((kept[-1][1] - kept[0][1]) / (kept[-1][0] - kept[0][0]), 3)


def resident_bytes() -> int:
    """Memory this process holds; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
