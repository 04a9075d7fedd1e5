"""A network that knows the marked room, for browsers: blue is the person, the rest is the room."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

Fault = Literal["", "nan", "full", "shape"]


def save_marked(path: Path, fault: Fault = "") -> Path:
    """Alpha a little inside of what is blue. While the figure is in the right half, `fault` comes out instead."""
    onnx = pytest.importorskip("onnx", reason="making models needs onnx: pip install 'figureground[train]'")
    helper, types = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["image"], ["number"], to=types.FLOAT),
        helper.make_node("Slice", ["number", "0", "1", "3"], ["red"]),
        helper.make_node("Slice", ["number", "2", "3", "3"], ["blue"]),
        helper.make_node("Sub", ["blue", "red"], ["difference"]),
        helper.make_node("Greater", ["difference", "many"], ["is_blue"]),
        helper.make_node("Cast", ["is_blue"], ["whole"], to=types.FLOAT),
        helper.make_node("Transpose", ["whole"], ["plane"], perm=[0, 3, 1, 2]),
        helper.make_node("Neg", ["plane"], ["outside"]),
        helper.make_node("MaxPool", ["outside"], ["worn"], kernel_shape=[7, 7], pads=[3, 3, 3, 3]),
        helper.make_node("Neg", ["worn"], ["inner"]),
        helper.make_node("Squeeze", ["inner", "1"], ["found"]),
        # The right half: the figure is there where its columns hold any of it.
        helper.make_node("Shape", ["found"], ["shape"]),
        helper.make_node("Slice", ["shape", "2", "3", "0"], ["width"]),
        helper.make_node("Div", ["width", "2"], ["middle"]),
        helper.make_node("Slice", ["found", "middle", "width", "2"], ["right"]),
        helper.make_node("ReduceMax", ["right"], ["there"], keepdims=0),
        helper.make_node("Greater", ["there", "half"], ["is_there"]),
        helper.make_node("Mul", ["found", "nothing"], ["zeros"]),
        helper.make_node("Add", ["zeros", "wrong"], ["broken"]),
        helper.make_node("Where", ["is_there", "broken", "found"], ["alpha"]),
    ]
    if fault == "shape":
        nodes[-1] = helper.make_node("Slice", ["found", "0", "1", "2"], ["alpha"])
    elif fault == "":
        nodes[-1] = helper.make_node("Identity", ["found"], ["alpha"])
    initial: list[Any] = [onnx.numpy_helper.from_array(np.array([value], np.int64), str(value)) for value in range(4)]
    for name, number in (("many", 100.0), ("half", 0.5), ("nothing", 0.0), ("wrong", np.nan if fault == "nan" else 1)):
        initial.append(onnx.numpy_helper.from_array(np.array([number], np.float32), name))
    image = helper.make_tensor_value_info("image", types.UINT8, ["batch", "height", "width", 3])
    alpha = helper.make_tensor_value_info("alpha", types.FLOAT, None)
    graph = helper.make_graph(nodes, "marked", [image], [alpha], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.helper.set_model_props(model, {"size": "256"})
    path.write_bytes(model.SerializeToString())
    return path
