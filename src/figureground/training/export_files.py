"""Exported files on disk, each format with what it says about itself inside."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from figureground.errors import FigureGroundError, OutputError
from figureground.runtimes.exported import LITERT_MEMBER, OPENVINO_ENTRY, import_openvino

# Writes a model to a path, with its metadata inside. Called twice: the file is measured before it can hold its scores.
Write = Callable[[Path, dict[str, str]], None]


_ROOM = 1_000_000  # bytes: a disk without them is full


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone afterwards; what fails in it because the disk is full says so.

    Each library has an error of its own for that, OpenVINO even without a reason: so the disk is asked.

    Raises:
        OutputError: the disk is full.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            yield folder
        except FigureGroundError:
            raise
        except Exception as error:
            if _has_room(folder):
                raise
            raise OutputError(
                f"{folder.parent}: no space left for temporary files; free some, or set TMPDIR to another folder"
            ) from error


def _has_room(folder: Path) -> bool:
    try:
        (folder / "room").write_bytes(bytes(_ROOM))
    except OSError:
        return False
    return True


def onnx_file(proto: onnx.ModelProto) -> Write:
    """An .onnx file, its metadata in `metadata_props`."""

    def write(path: Path, metadata: dict[str, str]) -> None:
        del proto.metadata_props[:]
        onnx.helper.set_model_props(proto, metadata)
        path.write_bytes(proto.SerializeToString())

    return write


def openvino_file(proto: onnx.ModelProto, halve: bool) -> Write:
    """An OpenVINO .xml file and its weights beside it in a .bin file, in float16 if `halve`; metadata in `rt_info`.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    openvino = import_openvino()
    model = openvino.Core().read_model(proto.SerializeToString(), b"")

    def write(path: Path, metadata: dict[str, str]) -> None:
        for key, value in metadata.items():
            model.set_rt_info(value, [OPENVINO_ENTRY, key])
        openvino.save_model(model, str(path), compress_to_fp16=halve)

    return write


def litert_file(content: bytes) -> Write:
    """A .tflite file, its metadata as JSON in a ZIP archive that is appended to the model."""

    def write(path: Path, metadata: dict[str, str]) -> None:
        path.write_bytes(content)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(LITERT_MEMBER, json.dumps(metadata, indent=1))

    return write


def parts(path: Path) -> list[Path]:
    """The files of a model, the one that names it last."""
    return [path.with_suffix(".bin"), path] if path.suffix == ".xml" else [path]
