"""Smaller ONNX graphs: int8 arithmetic, or weights kept in half precision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from figureground.arrays import Frame
from figureground.training.export_files import temporary_folder


def to_int8(proto: onnx.ModelProto, pictures: Sequence[Frame]) -> onnx.ModelProto:
    """Quantise a graph of `to_onnx` by ONNX Runtime's static method: every layer, weights per channel.

    Quantise and dequantise nodes stand around each layer, and runtimes fuse them; input and output stay as they are.
    Each tensor's range is the smallest and largest value it takes on `pictures`, (H, W, 3) uint8 RGB inputs.

    Raises:
        OutputError: there is no room for temporary files.
    """
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    add_pre_process_metadata(proto)  # or it asks for a preparation that our graphs do not need
    with temporary_folder() as folder:
        output = folder / "model.onnx"
        quantize_static(
            proto,
            output,
            _Pictures(pictures),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # Weights of 7 bits: with 8 the sums of two products overflow on x86 processors without VNNI.
            reduce_range=True,
        )
        quantized = onnx.load(output)
    del quantized.metadata_props[:]
    return quantized


class _Pictures(CalibrationDataReader):
    """What `quantize_static` reads its calibration pictures from."""

    def __init__(self, pictures: Sequence[Frame]) -> None:
        self._left: Iterator[Frame] = iter(pictures)

    def get_next(self) -> dict[str, Any] | None:
        picture = next(self._left, None)
        return None if picture is None else {"image": picture[None]}


def to_half(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Keep the weights of a graph of `to_onnx` in float16 and cast them back in the graph.

    Runtimes do that once, when they load the file: it is half as large and as fast as before.
    """
    casts = []
    for weights in proto.graph.initializer:
        array = numpy_helper.to_array(weights)
        if weights.data_type == TensorProto.FLOAT and array.ndim:
            casts.append(helper.make_node("Cast", [f"{weights.name}:half"], [weights.name], to=TensorProto.FLOAT))
            with np.errstate(over="ignore"):  # what is too large becomes infinite, and the file is refused for it
                half = array.astype(np.float16)
            weights.CopyFrom(numpy_helper.from_array(half, f"{weights.name}:half"))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    onnx.checker.check_model(proto, full_check=True)
    return proto
