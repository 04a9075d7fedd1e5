"""Pictures and masks, two files each, paired by their names.

masks/NAME.png is of images/NAME.jpg, or of NAME.jpg in the folder that holds masks; NAME_mask.png of NAME.jpg
beside it. `--classes` names the object's levels (1,2) or colours ('#c08080'), else the mask is an alpha or binary.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from figureground.data.folders import BESIDE, Finder, is_picture, pictures_called
from figureground.data.records import Folder, MaskFile, Object, Picture, Problem, Record
from figureground.errors import DatasetError
from figureground.images import EXTENSIONS

NAME = "masks"
SUFFIXES = EXTENSIONS
_PICTURES = (*BESIDE, "original", "originals", "original_image", "blurred_image", "im", "input", "inputs")
_MASKS = re.compile(r"(?P<of>.+[-_])?(?:masks?|mattes?|alphas?|gt|labels|annotations|segmentations?)", re.IGNORECASE)
_ENDING = re.compile(r"(.+?)[-_.](?:masks?|mattes?|alpha|seg)", re.IGNORECASE)


def claims(path: Path, head: str, root: Path) -> bool:
    """A picture in a folder of masks that has a folder of pictures beside it, or NAME_mask.png beside NAME.jpg."""
    if not is_picture(path) or _is_others(path):
        return False
    masks = _mask_folder(path, root)
    if masks is None:
        return bool(_beside(path))
    return any(os.path.isdir(folder) for folder in _picture_folders(masks)) or _holds_pictures(masks.parent)


def read(file: Path, folder: Folder) -> Iterator[Record]:
    """The picture of a mask.

    Raises:
        DatasetError: `--classes` names no levels or colours that a file could have.
    """
    mask = _mask(file, folder.classes)
    finder = Finder(folder.root)
    found = [path for path in _partners(file, folder.root) if finder.holds(path)]
    reason = ""
    if not finder.holds(file):
        reason = "a symbolic link out of the source"
    elif not found:
        reason = f"a mask without a picture: there is no {_stems(file)[-1]} of any suffix among the pictures"
    elif len(found) > 1:
        reason = f"a mask of several pictures: {found[0]} and {found[1]}; leave one"
    if reason:
        yield Problem(str(file), "", file.name, "rejected", reason)
    else:
        yield Picture(file, "", found[0].name, [Object(file.name, "", folder.classes[0], mask)], image=found[0])


def _is_others(path: Path) -> bool:
    """Whether another notation has the file: VOC's folders, Supervisely's pictures."""
    is_voc = any(parent.name.startswith(("SegmentationClass", "SegmentationObject")) for parent in path.parents)
    return is_voc or (path.parent.name == "img" and (path.parent.parent / "ann").is_dir())


def _mask_folder(path: Path, root: Path) -> Path | None:
    """The nearest folder above a file that is called as those of masks are, unless one of pictures is nearer."""
    for parent in path.parents:
        if not parent.is_relative_to(root):
            return None
        if parent.name.lower() in map(str.lower, _PICTURES):
            return None
        if _MASKS.fullmatch(parent.name):
            return parent
    return None


def _picture_folders(masks: Path) -> list[Path]:
    """Where the pictures of a folder of masks may be, beside it."""
    match = _MASKS.fullmatch(masks.name)
    of = match["of"] if match else None
    names = [name for plain in _PICTURES for name in (plain, plain.capitalize())]
    if of:  # train_masks: train, or train_images
        names = [of[:-1], *(f"{of}{name}" for name in names), *names]
    return [masks.parent / name for name in names]


def _holds_pictures(folder: Path) -> bool:
    try:
        return any(is_picture(path) for path in folder.iterdir())
    except OSError:
        return False


def _partners(file: Path, root: Path) -> list[Path]:
    """The pictures that a mask may be of: those of the first folder that has any."""
    masks = _mask_folder(file, root)
    if masks is None:
        return _beside(file)
    within = file.parent.relative_to(masks)
    for folder in (*_picture_folders(masks), masks.parent):
        for stem in _stems(file):
            found = pictures_called(stem, folder / within)
            if found:
                return found
    return []


def _beside(file: Path) -> list[Path]:
    stem = _stems(file)[-1]
    return pictures_called(stem, file.parent) if stem != file.stem else []


def _stems(file: Path) -> list[str]:
    """What the picture of a mask may be called, suffix aside: as the mask, or without its ending."""
    stems = [file.stem]
    if is_picture(Path(file.stem)):  # NAME.jpg.png
        stems.append(Path(file.stem).stem)
    match = _ENDING.fullmatch(stems[-1])
    return [*stems, match[1]] if match else stems


def _mask(file: Path, classes: tuple[str, ...]) -> MaskFile:
    colours = [_colour(name) for name in classes if name.startswith("#")]
    values = [int(name) for name in classes if name.isdecimal() and len(name) < 9]
    if not colours and not values:
        return MaskFile(file)
    if len(colours) + len(values) < len(classes) or (colours and values):
        raise DatasetError(f"--classes {','.join(classes)}: want levels, as in 1,2, or colours, as in '#c08080', alone")
    if max(values, default=0) > 255:
        raise DatasetError(f"--classes {','.join(classes)}: levels are 0 to 255")
    return MaskFile(file, values=values, colours=colours)


def _colour(name: str) -> tuple[int, int, int]:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", name):
        raise DatasetError(f"--classes {name}: want a colour as in '#c08080'")
    code = int(name[1:], 16)
    return code >> 16, code >> 8 & 255, code & 255
