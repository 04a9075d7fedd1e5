"""Tiny ONNX models, right and wrong, for the engine to load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SIZES: tuple[str | int, ...] = ("batch", "height", "width", 3)


@dataclass(frozen=True)
class Shape:
    """What a model takes and gives; the defaults are what the engine wants."""

    input: Sequence[str | int] = SIZES
    input_name: str = "image"
    input_type: str = "UINT8"
    output_type: str = "FLOAT"
    squeeze: bool = True
    divisor: float = 255.0
    outputs: int = 1


def save_network(path: Path, shape: Shape | None = None, metadata: dict[str, str] | None = None) -> Path:
    """A model that gives the picture's first channel over `divisor`."""
    onnx = pytest.importorskip("onnx", reason="making models needs onnx: pip install 'figureground[train]'")
    model = onnx.helper.make_model(
        _graph(onnx, shape or Shape()), opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9
    )
    onnx.helper.set_model_props(model, metadata or {"size": "64"})
    path.write_bytes(model.SerializeToString())
    return path


def _graph(onnx: Any, shape: Shape) -> Any:
    helper, types = onnx.helper, onnx.TensorProto
    picked = "picked" if shape.squeeze else "channel"
    kind = getattr(types, shape.output_type)
    names = [f"alpha{number}" for number in range(shape.outputs)]
    nodes = [
        helper.make_node("Slice", [shape.input_name, "zero", "one", "last"], ["channel"]),
        helper.make_node("Squeeze", ["channel", "last"], ["picked"]),
        helper.make_node("Cast", [picked], ["number"], to=types.FLOAT),
        helper.make_node("Div", ["number", "divisor"], ["share"]),
        *(helper.make_node("Cast", ["share"], [name], to=kind) for name in names),
    ]
    constants = {"zero": np.array([0]), "one": np.array([1]), "last": np.array([3])}
    initial = [onnx.numpy_helper.from_array(value.astype(np.int64), name) for name, value in constants.items()]
    initial.append(onnx.numpy_helper.from_array(np.float32(shape.divisor).reshape(()), "divisor"))
    image = helper.make_tensor_value_info(shape.input_name, getattr(types, shape.input_type), shape.input)
    outputs = [helper.make_tensor_value_info(name, kind, None) for name in names]
    return helper.make_graph(nodes, "channel", [image], outputs, initial)
