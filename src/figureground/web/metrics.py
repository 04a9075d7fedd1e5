"""The state as Prometheus reads it (text exposition format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from figureground.web.requests import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LIGHTS = ("live", "covered", "stopped")


def exposition(state: dict[str, Any], more: Iterable[Metric] = ()) -> str:
    """All figures of `Live.state()`, in base units: seconds, bytes, shares; and `more`."""
    lines = []
    for name, kind, help, samples in (*_metrics(state), *more):
        lines += [f"# HELP figureground_{name} {help}", f"# TYPE figureground_{name} {kind}"]
        lines += [f"figureground_{name}{labels} {float(value):.9g}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _metrics(state: dict[str, Any]) -> Iterator[Metric]:
    latency, stages = state["latency_ms"], state["stages_ms"]
    yield "frames_total", "counter", "Pictures sent.", [("", state["frames"])]
    yield (
        "covered_frames_total",
        "counter",
        "Pictures sent without a person because of a fault.",
        [("", state["covered"])],
    )
    yield "camera_dropped_total", "counter", "Frames of the camera not used.", [("", state["camera"]["dropped"])]
    yield "frames_per_second", "gauge", "Pictures sent in the last second.", [("", state["output"]["fps"])]
    yield (
        "latency_seconds",
        "gauge",
        "From the camera's hand-over to the picture sent.",
        [('{quantile="0.5"}', latency["p50"] / 1000), ('{quantile="0.95"}', latency["p95"] / 1000)],
    )
    yield (
        "stage_seconds",
        "gauge",
        "Median of each stage of a frame.",
        [(f'{{stage="{stage}"}}', value / 1000) for stage, value in stages.items()],
    )
    yield "cpu_share", "gauge", "Share of one core used.", [("", state["cpu"])]
    yield "memory_bytes", "gauge", "Resident memory.", [("", state["memory_mb"] * 1e6)]
    yield (
        "light",
        "gauge",
        "1 for what the privacy light shows.",
        [(f'{{light="{light}"}}', float(light == state["light"])) for light in _LIGHTS],
    )
