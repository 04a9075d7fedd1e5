"""Another's .tflite files, not described or with sizes that are free: refused in one line, or run as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from figureground.errors import ModelError
from figureground.runtimes.peers import open_model
from scenes import noise

tf: Any = pytest.importorskip("tensorflow", reason="making models needs pip install 'figureground[train]'")
pytest.importorskip("ai_edge_litert", reason="LiteRT needs pip install 'figureground[peers]'")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorflow")
SHAPE = (1, 24, 32, 3)


def converted(path: Path, network: Callable[[Any], Any], shape: tuple[int | None, ...] = SHAPE) -> str:
    traced = tf.function(network).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced])
    converter.allow_custom_ops = True
    path.write_bytes(converter.convert())
    return str(path)


def test_a_free_size_is_described(tmp_path: Path) -> None:
    """LiteRT gives a free size as 1: a picture of one pixel would be seen."""
    model = converted(tmp_path / "free.tflite", lambda x: x[..., :1] * 1.0, (1, None, None, 3))
    with pytest.raises(ModelError, match=r"has no fixed size; describe it as size = \[width, height\]"):
        open_model(model)
    (tmp_path / "free.tflite.toml").write_text("size = [32, 24]", encoding="utf-8")
    frame, described = noise(32, 24), open_model(model)
    for _ in range(2):
        assert np.allclose(described(frame), frame[:, :, 0] / np.float32(255), atol=1e-6)


def test_which_channel_is_the_person_is_described(tmp_path: Path) -> None:
    model = converted(tmp_path / "two.tflite", lambda x: x[..., :2] * 1.0)
    with pytest.raises(
        ModelError, match=r"its output is \(1, 24, 32, 2\); want \(1, H, W, 1\), or say in .*two\.tflite\.toml"
    ):
        open_model(model)(noise(32, 24))
    (tmp_path / "two.tflite.toml").write_text("channel = 1", encoding="utf-8")
    frame = noise(32, 24)
    assert np.allclose(open_model(model)(frame), frame[:, :, 1] / np.float32(255), atol=1e-6)


@pytest.mark.parametrize(
    ("network", "shape", "said"),
    [
        (lambda x: x[0], SHAPE, r"its output is \(24, 32, 3\); want"),
        (lambda x: x[..., :1] * 1.0, (4, *SHAPE[1:]), r"its input is \[4, 24, 32, 3\]; want .* N of 1"),
        (lambda x: tf.math.erf(x[..., :1]), SHAPE, "not a model LiteRT can load"),
    ],
    ids=["no batch", "four pictures", "an operation of its own"],
)
def test_what_cannot_be_run_is_refused_in_one_line(
    tmp_path: Path, network: Callable[[Any], Any], shape: tuple[int, ...], said: str
) -> None:
    with pytest.raises(ModelError, match=said) as error:
        open_model(converted(tmp_path / "odd.tflite", network, shape))(noise(32, 24))
    assert "\n" not in str(error.value)
