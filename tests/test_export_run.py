"""A run as an .onnx, an OpenVINO or a LiteRT file: run by its own runtime, measured, refused when it is worse."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from figureground.arrays import Alpha, Frame
from figureground.data.manifest import read_manifest
from figureground.engine import Engine
from figureground.errors import DatasetError, MissingExtraError, ModelError, OutputError
from figureground.evaluation.evaluate import evaluate
from figureground.images import read_image, read_matte, write_image
from figureground.runtimes.exported import ExportedModel, import_openvino, litert_metadata
from figureground.runtimes.peers import open_model
from figureground.training.export_target import Target
from scenes import noise, plain
from training_data import TINY, person, write_dataset, write_manifest, write_picture

keras = pytest.importorskip("keras", reason="export needs pip install 'figureground[train]'")
onnx = pytest.importorskip("onnx", reason="export needs pip install 'figureground[train]'")
pytest.importorskip("tensorflow", reason="export is tested on Keras' tensorflow backend")
pytest.importorskip("ai_edge_litert", reason="export to LiteRT needs pip install 'figureground[peers]'")
if find_spec("openvino") is None:  # importorskip would import it with its telemetry
    pytest.skip("export to OpenVINO needs pip install 'figureground[openvino]'", allow_module_level=True)

from figureground.training.export import to_onnx  # noqa: E402
from figureground.training.export_gate import compare, keras_alpha, refusal  # noqa: E402
from figureground.training.export_run import Exported, export_run  # noqa: E402
from figureground.training.run import config  # noqa: E402
from figureground.training.unet import light_unet  # noqa: E402

# TensorFlow's and Keras' own: nothing this package does.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorflow"),
]
FILES = {"onnx": {"model.onnx"}, "openvino": {"model.xml", "model.bin"}, "litert": {"model.tflite"}}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"), train=12, val=8, sizes=((64, 64), (72, 48), (48, 60)))


@pytest.fixture(scope="module")
def network() -> Any:
    """A narrow light network that has learnt to find the bright ellipses of `person`."""
    keras.utils.set_random_seed(1)
    model = light_unet((8, 8, 8, 8, 8), (0, 0, 0, 0, 0), (8, 8, 8, 8))
    rng = np.random.default_rng(0)
    frames, mattes = (np.stack(each) for each in zip(*(person(rng) for _ in range(32)), strict=True))
    model.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy", jit_compile=False)
    model.fit(frames, mattes[..., None] / np.float32(255), batch_size=8, epochs=15, verbose=0)
    return model


def save_run(folder: Path, model: Any, dataset: Path, size: int = 64) -> Path:
    folder.mkdir()
    model.save(folder / "best.keras")
    (folder / "config.json").write_text(json.dumps(config(replace(TINY, input_size=size), dataset)), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(network: Any, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(tmp_path_factory.mktemp("runs") / "run", network, dataset)


Export = Callable[[str, str], Exported]


@pytest.fixture(scope="module")
def export(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Each export once. By force: a few pixels of these tiny pictures may be too much for int8; it must say so then."""

    @cache
    def once(to: str, quantize: str) -> Exported:
        folder = tmp_path_factory.mktemp("exports") / "new"
        return export_run(run, Target(to, quantize), folder / Target(to).path(run, None).name, force=True)

    return once


@pytest.mark.parametrize(
    ("to", "quantize"),
    [(to, quantize) for to in FILES for quantize in ("", "int8", "fp16") if (to, quantize) != ("litert", "fp16")],
)
def test_every_format(to: str, quantize: str, export: Export, dataset: Path) -> None:
    done = export(to, quantize)
    output = done.path
    assert {path.name for path in output.parent.iterdir()} == FILES[to]
    assert done.figures.pictures == done.val == 8
    assert done.figures.keras.iou > 0.9
    assert done.figures.drop < {"": 1e-4, "fp16": 1e-3, "int8": 0.03}[quantize]
    assert done.figures.worst < {"": 1e-4, "fp16": 0.05, "int8": 1}[quantize]
    assert bool(done.forced) == (done.figures.drop > 0.002)

    model = open_model(str(output))
    assert isinstance(model, Engine if to == "onnx" else ExportedModel)
    for frame in (noise(31, 90), noise(200, 64)):
        alpha = model(frame)
        assert alpha.shape == frame.shape[:2]
        assert alpha.dtype == np.float32
        assert 0 <= alpha.min() <= alpha.max() <= 1
    again = evaluate(model, dataset).overall
    assert again.iou == pytest.approx(done.figures.exported.iou, abs=1e-9), "measured as `evaluate` measures"
    assert again.accuracy == pytest.approx(done.figures.exported.accuracy, abs=1e-9)

    said = model.metadata
    assert (said["name"], said["size"], said["channels"], said["licence"]) == ("tiny", "64", "RGB", "CC0-1.0")
    assert said["quantize"] == (quantize or "none")
    assert json.loads(said["recipe"])["learning_rate"] == TINY.learning_rate
    assert "dataset" not in json.loads(said["recipe"])
    scores = json.loads(said["scores"])
    assert scores == asdict(done.figures) | {"iou_difference": -done.figures.drop}
    assert scores["exported"]["milliseconds"] > 0 < scores["keras"]["milliseconds"]
    assert ("forced" in said) == bool(done.forced)


def test_a_dataset_that_has_moved(run: Path, dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    settings = json.loads((run / "config.json").read_text(encoding="utf-8")) | {"dataset": "/gone"}
    (tmp_path / "run" / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    assert export_run(tmp_path / "run", Target(), dataset=dataset).val == 8


def test_a_mask_of_another_size_is_named(run: Path, dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(dataset, tmp_path / "data")
    mask = read_manifest(tmp_path / "data", "val")[0].mask
    write_image(mask, np.zeros((7, 9), np.uint8))
    with pytest.raises(DatasetError, match=rf"{mask.name}: mask is \(9, 7\), its picture \(64, 64\)"):
        export_run(run, Target(), tmp_path / "model.onnx", dataset=tmp_path / "data")
    assert not (tmp_path / "model.onnx").exists()


def test_weights_are_kept_as_asked(export: Export) -> None:
    kinds = {}
    for quantize in ("", "int8", "fp16"):
        proto = onnx.load(export("onnx", quantize).path)
        kinds[quantize] = {onnx.numpy_helper.to_array(w).dtype.name for w in proto.graph.initializer if len(w.dims) > 1}
        assert proto.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
        assert proto.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert kinds == {"": {"float32"}, "int8": {"int8"}, "fp16": {"float16"}}


def test_openvino_takes_a_batch(export: Export, network: Any) -> None:
    batch = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), np.uint8)
    core = import_openvino().Core()
    (alpha,) = core.compile_model(str(export("openvino", "").path), "CPU", {})(batch).values()
    wanted = keras.ops.convert_to_numpy(network(batch, training=False))[..., 0]
    assert alpha.shape == wanted.shape
    assert np.abs(alpha - wanted).max() < 0.05, "with bfloat16 where the processor has it"


@pytest.mark.parametrize("to", ["onnx", "openvino"])  # LiteRT files are never of another kind
def test_fixed_size(to: str, run: Path, network: Any, tmp_path: Path) -> None:
    output = tmp_path / Target(to).path(run, None).name
    export_run(run, Target(to, size=(96, 64)), output, force=True)
    model = open_model(str(output))
    picture = noise(96, 64)
    wanted = keras.ops.convert_to_numpy(network(picture[None], training=False))[0, :, :, 0]
    assert np.abs(model.run(picture) - wanted).max() < 1e-4
    frame, matte = person(np.random.default_rng(5), 40, 80)
    fit = model.fit(40, 80)
    assert (fit.width, fit.height, fit.input_width, fit.input_height) == (32, 64, 96, 64)
    guess = model(frame) >= 0.5
    assert (guess & (matte > 0)).sum() / (guess | (matte > 0)).sum() > 0.8, "where the person is in the frame"
    with pytest.raises(ModelError, match="cannot run on a picture"):
        model.run(noise(64, 64))


def test_fixed_onnx_keeps_its_batch(network: Any) -> None:
    graph = to_onnx(network, (96, 64)).graph
    dims = {end.name: [d.dim_param or d.dim_value for d in end.type.tensor_type.shape.dim] for end in graph.input}
    assert dims == {"image": ["batch", 64, 96, 3]}


def outlier(network: Any) -> Any:
    """The same function, but one channel that nothing reads is a thousand times larger: 8 bits cannot hold both."""
    model = keras.models.clone_model(network)
    model.set_weights(network.get_weights())
    layers = [layer for layer in model.layers if layer.weights]
    norm = next(layer for layer in layers if "norm" in layer.name)
    norm.beta.assign(np.r_[3000.0, np.asarray(norm.beta)[1:]])
    for layer in layers:  # the first stage is read by the second and by the last skip
        if isinstance(layer, keras.layers.Conv2D) and reads_first_stage(layer, norm):
            kernel = np.array(layer.kernel)
            kernel[:, :, 0] = 0
            layer.kernel.assign(kernel)
    return model


def reads_first_stage(layer: Any, norm: Any) -> bool:
    before = layer.input._keras_history.operation
    while isinstance(before, keras.layers.ZeroPadding2D | keras.layers.ReLU):
        before = before.input._keras_history.operation
    return before is norm


def test_a_ruined_file_is_refused_or_marked(network: Any, dataset: Path, tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", outlier(network), dataset)
    before = sorted(run.iterdir())
    output = run / "model-int8.onnx"
    said = (
        r"model-int8\.onnx: not written, its IoU over 8 val pictures is 0\.\d+, 0\.\d+ under Keras' 0\.9\d+; .*--force"
    )
    with pytest.raises(ModelError, match=said) as caught:
        export_run(run, Target(quantize="int8"))
    assert "\n" not in str(caught.value)
    assert sorted(run.iterdir()) == before, "nothing is left behind"
    done = export_run(run, Target(quantize="int8"), force=True)
    assert done.path == output
    assert done.figures.drop > 0.002
    assert "under Keras'" in done.forced
    assert Engine(output).metadata["forced"] == "true"
    assert export_run(run, Target()).figures.drop < 1e-4, "it is the quantisation that fails, not the network"


def test_command_refuses_in_one_line(network: Any, dataset: Path, tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", outlier(network), dataset)
    line = [sys.executable, "-m", "figureground", "export", str(run), "--quantize", "int8"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith(f"figureground: {run / 'model-int8.onnx'}: not written, its IoU")


@pytest.fixture(scope="module")
def reference(network: Any) -> Callable[[Frame], Alpha]:
    return keras_alpha(network)


def damaged(network: Any, path: Path, by: float) -> Engine:
    proto = to_onnx(network)
    weight = next(w for w in proto.graph.initializer if w.name.startswith("logits"))
    array = onnx.numpy_helper.to_array(weight).copy()
    array.flat[0] += by
    weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    path.write_bytes(proto.SerializeToString())
    return Engine(path)


@pytest.mark.parametrize(
    ("by", "exact", "said"),
    [
        (0.0, True, ""),
        (0.01, True, "an alpha is "),
        (0.01, False, ""),
        (50.0, False, "its IoU over 8 val pictures is "),
        (50.0, True, "its IoU over 8 val pictures is "),
    ],
)
def test_damaged_weights(
    network: Any, reference: Callable[[Frame], Alpha], dataset: Path, tmp_path: Path, by: float, exact: bool, said: str
) -> None:
    engine = damaged(network, tmp_path / "damaged.onnx", by)
    why = refusal(compare(engine, reference, read_manifest(dataset, "val")), exact)
    assert why.startswith(said)
    assert bool(why) == bool(said)


def test_a_file_that_gives_no_number_is_not_kept(network: Any, dataset: Path, tmp_path: Path) -> None:
    """A weight that is too large for float16."""
    model = keras.models.clone_model(network)
    model.set_weights(network.get_weights())
    model.get_layer("logits").kernel.assign(np.full(model.get_layer("logits").kernel.shape, 1e6))
    run = save_run(tmp_path / "run", model, dataset)
    before = sorted(run.iterdir())
    with pytest.raises(ModelError, match=r"^\S+model-fp16\.onnx: not written, the network gave"):
        export_run(run, Target(quantize="fp16"), force=True)
    assert sorted(run.iterdir()) == before


@pytest.fixture
def full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A limit on the size of files stands in for a full disk under the folder of temporary files."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before, told = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    yield tmp_path
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, told)


@pytest.mark.usefixtures("uncounted")
@pytest.mark.parametrize(("to", "quantize"), [("onnx", ""), ("onnx", "int8"), ("openvino", ""), ("litert", "")])
def test_no_room_for_temporary_files(to: str, quantize: str, run: Path, full_disk: Path) -> None:
    before = sorted(run.iterdir())
    said = f"^{re.escape(str(full_disk))}: no space left for temporary files; free some, or set TMPDIR to another"
    with pytest.raises(OutputError, match=said):
        export_run(run, Target(to, quantize))
    assert sorted(run.iterdir()) == before
    assert not list(full_disk.iterdir())


def test_int8_without_train_pictures(network: Any, tmp_path: Path) -> None:
    frame, matte = person(np.random.default_rng(0))
    write_manifest(tmp_path / "data", [write_picture(tmp_path / "data", "a", frame, matte)])
    run = save_run(tmp_path / "run", network, tmp_path / "data")
    with pytest.raises(DatasetError, match="no picture in split 'train'"):
        export_run(run, Target(quantize="int8"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "coreml"], "--to coreml: unknown; want onnx, openvino, litert"),
        (["--quantize", "int4"], "--quantize int4: unknown; want int8 or fp16"),
        (["--size", "250x160"], "--size 250x160: want WIDTHxHEIGHT, both multiples of 32 up to 4096, as 256x160"),
        (["--size", "256"], "--size 256: want WIDTHxHEIGHT"),
        (["--size", "0x32"], "--size 0x32: want WIDTHxHEIGHT"),
        (["--to", "openvino", "--output", "a.onnx"], "a.onnx: a file for --to openvino ends in .xml"),
        (["--output", "a.pb"], "a.pb: a file for --to onnx ends in .onnx"),
    ],
)
def test_wrong_calls(arguments: list[str], said: str) -> None:
    line = [sys.executable, "-m", "figureground", "export", "gone", *arguments]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_names_of_files(tmp_path: Path) -> None:
    assert Target().path(Path("run"), None) == Path("run/model.onnx")
    assert Target("litert", "int8", (256, 160)).path(Path("run"), None) == Path("run/model-int8-256x160.tflite")
    with pytest.raises(OutputError):
        Target().path(Path("run"), Path("model.xml"))
    for folder in ("model.onnx", "other.onnx"):
        (tmp_path / folder).mkdir()
        with pytest.raises(OutputError, match=rf"{folder}: is a folder; name the file to write, as in .*/model\.onnx$"):
            Target().path(tmp_path, tmp_path / folder if folder[0] == "o" else None)


@pytest.mark.parametrize(
    ("to", "module", "extra"), [("openvino", "openvino", "openvino"), ("litert", "ai_edge_litert", "peers")]
)
def test_missing_package(to: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, f"{module}.interpreter", None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'figureground\[{extra}\]'"):
        Target.parse(to, "", "")
    path = tmp_path / Target(to).path(tmp_path, None).name
    with pytest.raises(MissingExtraError, match=rf"pip install 'figureground\[{extra}\]'"):
        ExportedModel(path)


def without_weights(folder: Path) -> None:
    (folder / "model.bin").unlink()


def without_graph(folder: Path) -> None:
    (folder / "model.xml").write_text("<net", encoding="utf-8")


def without_metadata(folder: Path) -> None:
    text = (folder / "model.xml").read_text(encoding="utf-8")
    (folder / "model.xml").write_text(text.replace("<figureground>", "<other>").replace("</figureground>", "</other>"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_weights, "model.bin: no such file"),
        (without_graph, "not a model OpenVINO can load"),
        (without_metadata, "not an export of ours"),
    ],
)
def test_what_is_no_openvino_export(spoil: Callable[[Path], None], said: str, export: Export, tmp_path: Path) -> None:
    shutil.copytree(export("openvino", "").path.parent, tmp_path / "copy")
    spoil(tmp_path / "copy")
    with pytest.raises(ModelError, match=said) as caught:
        open_model(str(tmp_path / "copy" / "model.xml"))
    assert "\n" not in str(caught.value)


def test_openvino_tells_nobody(export: Export, tmp_path: Path) -> None:
    """In a process and a home of its own: what its telemetry would leave there is an identity."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom figureground.runtimes.exported import ExportedModel\n"
        "ExportedModel(Path(sys.argv[1]))\nprint(sorted(m for m in sys.modules if m.startswith('openvino_telemetry.')))"
    )
    line = [sys.executable, "-c", script, str(export("openvino", "").path)]
    done = subprocess.run(line, capture_output=True, text=True, check=True, env={"HOME": str(tmp_path)})
    assert done.stdout == "[]\n"
    assert not (tmp_path / "intel").exists()


@pytest.mark.parametrize("content", [b"", b"TFL3 and no archive behind it"])
def test_another_s_litert_file_says_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(content)
    assert litert_metadata(tmp_path / "a.tflite") == {}
    assert litert_metadata(tmp_path / "gone.tflite") == {}


def test_real_pictures(shared_data: Path, tmp_path: Path) -> None:
    """The shipped network as int8: a portrait's mask hardly changes."""
    small = Path(__file__).parents[1] / "checkpoints" / "small.keras"
    data, people, picture = tmp_path / "data", shared_data / "people", "eg1800_02374"
    frame, matte = read_image(people / "images" / f"{picture}.jpg"), read_matte(people / "masks" / f"{picture}.png")
    rows = [write_picture(data, f"{split}", frame, matte, split) for split in ("train", "val")]
    write_manifest(data, rows)
    run = save_run(tmp_path / "run", keras.models.load_model(small, compile=False), data, 256)
    done = export_run(run, Target(quantize="int8"), force=True)
    assert done.figures.exported.iou > 0.9
    assert done.path.stat().st_size < 1.0e6
    assert Engine(done.path)(plain(64, 48, (180, 175, 160))).mean() < 0.05
