"""One picture with its annotations into one picture and one mask: what runs in the worker processes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import shutil
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Frame
from figureground.atomic import atomic_path
from figureground.data.json_stream import read_json
from figureground.data.rasterize import rasterize
from figureground.data.records import Action, MaskFile, Object, Picture, Problem
from figureground.data.similar import perceptual_hash
from figureground.errors import DatasetError, FigureGroundError, OutputError
from figureground.images import EXTENSIONS, format_suffix, picture_size, read_image, stored_size, turn, write_image

Matte = NDArray[np.uint8]


@dataclass(slots=True)
class Outcome:
    """What became of one picture; without `image` it is not in the dataset."""

    image: str = ""  # paths in the dataset
    mask: str = ""
    width: int = 0
    height: int = 0
    coverage: float = 0.0
    sha256: str = ""
    look: list[int] = field(default_factory=list)  # its perceptual hash
    empty: bool = False  # nobody is on it
    incomplete: bool = False  # somebody on it was rejected, or may be lost with the rest of a broken file
    accepted: int = 0
    left_out: str = ""  # why, if by the caller's wish
    problems: list[Problem] = field(default_factory=list)


def convert(picture: Picture, name: str, dataset: Path, coverage: tuple[float, float]) -> Outcome:
    """Write `images/NAME.*` and `masks/NAME.png` of a picture whose annotations are all of the wanted class.

    The mask is the union of the objects. A picture none of whose objects can be used is not written: its mask
    would call people background.

    Args:
        picture: where everything is; `picture.image` is there unless the picture is embedded.
        name: of the files to write, without suffix.
        dataset: the folder to write to.
        coverage: least and largest share of the picture that the mask may cover; others are left out.

    Raises:
        OutputError: the files cannot be written.
    """
    outcome = Outcome()
    try:
        _convert(picture, name, dataset, coverage, outcome)
    except OutputError:  # not the picture's fault: nothing more can be written
        raise
    except FigureGroundError as error:
        outcome = Outcome(problems=_all_rejected(picture, str(error)))
    except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        # Of ours, or of a library on what nobody has thought of: no reason to lose the other pictures.
        outcome = Outcome(problems=_all_rejected(picture, f"cannot be converted ({type(error).__name__}: {error})"))
    if picture.embedded and not outcome.image:
        for suffix in EXTENSIONS:
            (dataset / "images" / f"{name}{suffix}").unlink(missing_ok=True)
    return outcome


def _convert(picture: Picture, name: str, dataset: Path, coverage: tuple[float, float], outcome: Outcome) -> None:
    image = _image(picture, name, dataset)
    matte = _matte(picture, image, outcome)
    if matte is None:
        return
    share = float(matte.mean()) / 255.0
    if not coverage[0] <= share <= coverage[1]:
        outcome.left_out = f"coverage {share:.4f} outside {coverage[0]:g} to {coverage[1]:g}"
        return
    outcome.coverage, outcome.empty = round(share, 4), not matte.any()
    outcome.incomplete = picture.partial or any(problem.action == "rejected" for problem in outcome.problems)
    _write(image, matte, name, dataset, outcome)


@dataclass(frozen=True, slots=True)
class _Image:
    file: Path
    frame: Frame  # turned as its EXIF asks
    stored: tuple[int, int]  # width, height
    orientation: int


def _image(picture: Picture, name: str, dataset: Path) -> _Image:
    file = _unpacked(picture, name, dataset) if picture.embedded else picture.image
    if file is None:
        raise DatasetError("no picture is named")
    width, height, orientation = stored_size(file)
    return _Image(file, read_image(file), (width, height), orientation)


def _unpacked(picture: Picture, name: str, dataset: Path) -> Path:
    """The picture inside a LabelMe file, written into the dataset as it is."""
    document = read_json(picture.file)
    text = document.get("imageData") if isinstance(document, dict) else None
    try:
        data = base64.b64decode("".join((text or "").split()), validate=True)
    except (AttributeError, TypeError, ValueError, binascii.Error) as error:
        raise DatasetError(f"its imageData is not base64 ({error})") from error
    file = dataset / "images" / f"{name}{format_suffix(BytesIO(data))}"
    with atomic_path(file) as temporary:
        temporary.write_bytes(data)
    return file


def _matte(picture: Picture, image: _Image, outcome: Outcome) -> Matte | None:
    """The union of the objects, as the turned picture is; None if no object could be used though there are some."""
    height, width = image.frame.shape[:2]
    stated = (picture.width or width, picture.height or height)
    if _masked_as_stored(picture, image):
        stated = image.stored
    as_stored = stated == image.stored and stated != (width, height)
    if stated != (width, height) and not as_stored:
        got = f"{stated[0]}x{stated[1]}"
        raise DatasetError(f"the annotation is of a picture of {got}, but {image.file.name} is {width}x{height}")
    matte = np.zeros((stated[1], stated[0]), np.uint8)
    used = 0
    for item in picture.objects:
        used += _add(item, matte, picture, outcome)
    if picture.objects and not used:
        return None
    return turn(matte, image.orientation) if as_stored else matte


def _masked_as_stored(picture: Picture, image: _Image) -> bool:
    """Whether a mask file, which states no size beside its own, is of the picture as it is stored."""
    if image.orientation == 1 or picture.width or picture.height:
        return False
    files = [item.shape.path for item in picture.objects if isinstance(item.shape, MaskFile)]
    return bool(files) and all(picture_size(file) == image.stored for file in files)


def _add(item: Object, matte: Matte, picture: Picture, outcome: Outcome) -> bool:
    """Add an object's pixels to the matte; whether there were any to add."""
    if item.shape is None:
        outcome.problems.append(_problem(picture, item, "rejected", item.problem))
        return False
    try:
        pixels, mended = rasterize(item.shape, *matte.shape)
    except FigureGroundError as error:
        outcome.problems.append(_problem(picture, item, "rejected", str(error)))
        return False
    mended = "; ".join(filter(None, (item.problem, mended)))
    if mended:
        outcome.problems.append(_problem(picture, item, "repaired", mended))
    else:
        outcome.accepted += 1
    np.maximum(matte, pixels, out=matte)
    return True


def _problem(picture: Picture, item: Object, action: Action, reason: str) -> Problem:
    return Problem(str(picture.file), item.place, item.id, action, reason)


def _all_rejected(picture: Picture, reason: str) -> list[Problem]:
    if not picture.objects:
        return [Problem(str(picture.file), picture.place, "", "rejected", reason)]
    return [_problem(picture, item, "rejected", reason) for item in picture.objects]


def _write(image: _Image, matte: Matte, name: str, dataset: Path, outcome: Outcome) -> None:
    outcome.mask = f"masks/{name}.png"
    write_image(dataset / outcome.mask, matte)
    suffix = image.file.suffix.lower()
    outcome.image = f"images/{name}{suffix if suffix in EXTENSIONS else '.png'}"
    target = dataset / outcome.image
    if image.orientation != 1 or suffix not in EXTENSIONS:
        # Turned for good: not every reader of a dataset heeds EXIF.
        write_image(target, image.frame)
    elif image.file != target:
        with atomic_path(target) as temporary:
            shutil.copyfile(image.file, temporary)
    outcome.height, outcome.width = matte.shape
    outcome.sha256 = hashlib.sha256(target.read_bytes()).hexdigest()
    outcome.look = [int(part) for part in perceptual_hash(image.frame)]
