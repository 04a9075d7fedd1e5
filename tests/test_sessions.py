"""A stranger's model gets no other file, no more memory than the limit, and no more time."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from figureground import sessions
from figureground.engine import Engine, ForeignNetwork
from figureground.errors import ModelError

onnx = pytest.importorskip("onnx", reason="making models needs onnx: pip install 'figureground[train]'")
helper, kinds, from_array = onnx.helper, onnx.TensorProto, onnx.numpy_helper.from_array


def save(path: Path, nodes: Sequence[Any], initial: Sequence[Any] = (), domain: str = "", version: int = 17) -> Path:
    """A model that makes `alpha` of `red`, the picture's mean over its channels, by `nodes`."""
    image = helper.make_tensor_value_info("image", kinds.UINT8, [1, "height", "width", 3])
    alpha = helper.make_tensor_value_info("alpha", kinds.FLOAT, [1, "height", "width"])
    begin = [
        helper.make_node("Cast", ["image"], ["numbers"], to=kinds.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["red"], axes=[3], keepdims=0),
    ]
    graph = helper.make_graph([*begin, *nodes], "stranger", [image], [alpha], list(initial))
    sets = [helper.make_opsetid("", version), *([helper.make_opsetid(domain, 1)] if domain else [])]
    path.write_bytes(helper.make_model(graph, opset_imports=sets, ir_version=9).SerializeToString())
    return path


def in_other_file(location: str) -> Any:
    tensor = kinds(name="weights", data_type=kinds.FLOAT, dims=[1], data_location=kinds.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "/etc/hostname"])
@pytest.mark.parametrize("load", [Engine, ForeignNetwork])
def test_a_model_that_wants_other_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str, load: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(np.ones(1, np.float32).tobytes())
    path = save(
        tmp_path / "a.onnx", [helper.make_node("Add", ["red", "weights"], ["alpha"])], [in_other_file(location)]
    )
    with pytest.raises(ModelError, match=r"a\.onnx: keeps its weights in other files; save it as one file"):
        load(path)


def test_a_padded_key_is_seen_too() -> None:
    plain = b"\n\x08location"
    assert plain in in_other_file("x").SerializeToString()
    for padded in (plain, b"\n\x88\x00location", b"\x8a\x00\x08location", b"\x8a\x80\x00\x88\x80\x80\x00location"):
        assert sessions._EXTERNAL.search(b"abc" + padded)
    assert not sessions._EXTERNAL.search(b"\n\x07location \n\x11box_location/conv1")


def test_a_model_that_wants_more_memory_than_the_limit_is_refused_without_it(tmp_path: Path) -> None:
    """At run time (Expand) and while loading, where constants are folded (ConstantOfShape)."""
    one = from_array(np.ones(1, np.float32), "one")
    sizes = {"Expand": 3 << 30, "ConstantOfShape": 3 << 30}
    for kind, size in sizes.items():
        shape = from_array(np.array([size], np.int64), "shape")
        big = (
            helper.make_node("Expand", ["one", "shape"], ["big"])
            if kind == "Expand"
            else helper.make_node("ConstantOfShape", ["shape"], ["big"], value=from_array(np.ones(1, np.float32)))
        )
        total = helper.make_node("ReduceSum", ["big"], ["total"], keepdims=0)
        path = save(
            tmp_path / f"{kind}.onnx", [big, total, helper.make_node("Add", ["red", "total"], ["alpha"])], [one, shape]
        )
        with pytest.raises(ModelError, match="it wants over 4 GiB of memory"):
            Engine(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 << 20  # in KiB


def test_a_model_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "SECONDS", 0.5)
    one = [1, "height", "width"]
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["goes_on"]), helper.make_node("Add", ["value", "value"], ["double"])],
        "body",
        [
            helper.make_tensor_value_info("turn", kinds.INT64, []),
            helper.make_tensor_value_info("on", kinds.BOOL, []),
            helper.make_tensor_value_info("value", kinds.FLOAT, one),
        ],
        [
            helper.make_tensor_value_info("goes_on", kinds.BOOL, []),
            helper.make_tensor_value_info("double", kinds.FLOAT, one),
        ],
    )
    loop = helper.make_node("Loop", ["", "true", "red"], ["alpha"], body=body)
    path = save(tmp_path / "loop.onnx", [loop], [from_array(np.array(True), "true")])
    with pytest.raises(ModelError, match=r"cannot run on a picture \(it takes over 0 seconds\)"):
        Engine(path)


@pytest.mark.parametrize(("domain", "version"), [("somebody.else", 17), ("", 99)])
def test_operations_that_are_not_known_are_refused(tmp_path: Path, domain: str, version: int) -> None:
    node = helper.make_node("Identity" if not domain else "Steal", ["red"], ["alpha"], domain=domain)
    with pytest.raises(ModelError, match="not a model ONNX Runtime can load"):
        Engine(save(tmp_path / "odd.onnx", [node], (), domain, version))


def test_a_model_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(sessions.MAX_BYTES + 1)
    with pytest.raises(ModelError, match=r"huge\.onnx: 1024 MiB, over the limit of 1024 MiB for a model"):
        Engine(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_no_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ModelError, match="not a regular file"):
        Engine(tmp_path / "pipe.onnx")


def test_a_wrong_model_is_told_in_one_line(tmp_path: Path) -> None:
    """ONNX Runtime would write lines of its own to stderr."""
    node = helper.make_node("Steal", ["red"], ["alpha"], domain="somebody.else")
    save(tmp_path / "odd.onnx", [node], (), "somebody.else")
    (tmp_path / "a.png").write_bytes(b"")
    command = [sys.executable, "-m", "figureground", "replace", "a.png", "--model", "odd.onnx"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("figureground: odd.onnx: not a model ONNX Runtime can load")
