"""What stands behind the person: colour, picture, looping video, or the room itself, blurred.

A background is called with the frame, its alpha in 8 bits and its time in seconds, and gives a Frame of the same size.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Colours, Frame, Matte
from figureground.errors import BackgroundError, InputError
from figureground.images import EXTENSIONS, picture_size, read_image
from figureground.smoothing import weighted_blur
from figureground.sources import VIDEO_EXTENSIONS, VideoSource

Background = Callable[[Frame, Matte, Fraction], Frame]
_COLOUR = "#[0-9a-fA-F]{6}"
BLUR_STRENGTH = 20.0
HARDLY = 4  # of 255: what is more of the person than that must not colour the blurred room


def cover(picture: Frame, width: int, height: int) -> Frame:
    """Scale a picture until it covers width x height, its middle kept, its aspect ratio too."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    # The part of the picture that will be seen, cut out before it is scaled.
    part_width = max(1, min(picture.shape[1], round(width / scale)))
    part_height = max(1, min(picture.shape[0], round(height / scale)))
    left, top = (picture.shape[1] - part_width) // 2, (picture.shape[0] - part_height) // 2
    part = picture[top : top + part_height, left : left + part_width]
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(part, (width, height), interpolation=interpolation)


@dataclass(slots=True)
class Still:
    """One picture, scaled to cover the frame."""

    picture: Frame
    _fitted: Frame | None = None

    def __call__(self, frame: Frame, matte: Matte, time: Fraction) -> Frame:
        if self._fitted is None or self._fitted.shape != frame.shape:
            self._fitted = cover(self.picture, frame.shape[1], frame.shape[0])
            self._fitted.flags.writeable = False  # so the compositor knows it when it sees it again
        return self._fitted


@dataclass(slots=True)
class Blur:
    """The frame's own background, blurred; no pixel of the person colours it, so the person has no halo.

    `strength` is the Gaussian's sigma in thousandths of the frame's longest side.
    """

    strength: float = BLUR_STRENGTH
    _out: NDArray[Any] | None = None

    def __call__(self, frame: Colours, matte: Matte, time: Fraction) -> Colours:
        sigma = max(frame.shape) * self.strength / 1000
        shrink = next(factor for factor in (8, 4, 2, 1) if factor == 1 or sigma >= 3 * factor)  # needs few pixels
        size = tuple(max(1, side // shrink) for side in matte.shape[::-1])
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        # Any pixel of the person, be it a single one, takes its whole block out.
        person = cv2.resize(cv2.threshold(matte, HARDLY, 255, cv2.THRESH_BINARY)[1], size, interpolation=cv2.INTER_AREA)
        room = (cv2.dilate(person, np.ones((3, 3), np.uint8)) == 0).astype(np.float32)
        if self._out is None or (self._out.shape, self._out.dtype) != (frame.shape, frame.dtype):
            self._out = np.empty_like(frame)
        blurred = weighted_blur(small, room, sigma / shrink)
        return np.asarray(cv2.resize(blurred, frame.shape[1::-1], dst=self._out), frame.dtype)


@dataclass(slots=True)
class Loop:
    """A video that begins again when it ends, shown at its own speed."""

    path: Path
    _source: VideoSource | None = None
    _frames: Iterator[Frame] = field(default_factory=lambda: iter(()))
    _now: Frame | None = None
    _next: Frame | None = None
    _begun: Fraction = Fraction(0)  # when this round began, on the clock of the frames in front
    _first: Fraction = Fraction(0)  # what the video's own clock said then
    _until: Fraction = Fraction(0)  # how long after `_begun` the picture shown stays

    def __call__(self, frame: Frame, matte: Matte, time: Fraction) -> Frame:
        if self._source is None:
            self._begin(time)
        while time >= self._begun + self._until:
            self._advance(time)
        assert self._now is not None
        return cover(self._now, frame.shape[1], frame.shape[0])

    def _begin(self, time: Fraction) -> None:
        self._source = VideoSource(self.path)
        self._frames, self._begun = iter(self._source), time
        self._now, self._first = next(self._frames), self._source.time
        self._look_ahead(self._source)

    def _advance(self, time: Fraction) -> None:
        if self._next is None or self._source is None:
            # `_until` is the length of a round now; those that nobody sees need not be read.
            self._begin(self._begun + (time - self._begun) // self._until * self._until)
        else:
            self._now = self._next
            self._look_ahead(self._source)

    def _look_ahead(self, source: VideoSource) -> None:
        """Only the next picture's time says how long this one stays; the last one stays for a usual frame."""
        self._next = next(self._frames, None)
        self._until = source.time - self._first + (1 / source.rate if self._next is None else 0)
        if self._next is None:
            source.close()


@dataclass(slots=True)
class Slideshow:
    """The pictures of a folder by name, each for `seconds`, over and over."""

    paths: list[Path]
    seconds: int = 10
    _shown: int = -1
    _still: Still | None = None

    def __call__(self, frame: Frame, matte: Matte, time: Fraction) -> Frame:
        number = self.number(time)
        if self._still is None or number != self._shown:
            self._still, self._shown = Still(self.read(number)), number
        return self._still(frame, matte, time)

    def number(self, time: Fraction) -> int:
        """Which of the pictures stands there at this time."""
        return int(time / self.seconds) % len(self.paths)

    def read(self, number: int) -> Frame:
        """One of the pictures.

        Raises:
            BackgroundError: it cannot be read.
        """
        try:
            return read_image(self.paths[number])
        except InputError as error:
            raise BackgroundError(f"background {error}") from error


def make_background(spec: str) -> Background:
    """The background that `blur`, `blur:STRENGTH`, `#rrggbb` or the path of a picture, video or folder names.

    Of a folder's pictures only the heads are read here: one that is cut short is told of when its time comes.

    Raises:
        BackgroundError: none of these, or a file that cannot be read.
    """
    strength = blur_strength(spec)
    if strength is not None:
        return Blur(strength)
    if re.fullmatch(_COLOUR, spec):
        return Still(colour(spec))
    path = Path(spec)
    if not spec or not os.path.exists(path):  # Path("") is the folder at hand
        raise BackgroundError(f"background {spec!r}: no such file; want blur, blur:20, #rrggbb, transparent or a path")
    if not (path.is_file() or path.is_dir()):  # to open a pipe could take for ever
        raise BackgroundError(f"background {spec!r}: neither a file nor a folder")
    try:
        if path.is_dir():
            pictures = slides(path)
            if not pictures:
                raise BackgroundError(f"background {spec!r}: no pictures in this folder")
            for picture in pictures:
                picture_size(picture)  # to decode them all could take minutes
            return Slideshow(pictures)
        if path.suffix.lower() in VIDEO_EXTENSIONS:
            with VideoSource(path) as source:
                next(iter(source))
            return Loop(path)
        return Still(read_image(path))
    except InputError as error:
        raise BackgroundError(f"background {error}") from error


def slides(folder: Path) -> list[Path]:
    """The pictures of a folder by name, without hidden files, as macOS leaves them on other systems' disks."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS and not p.name.startswith("."))


def is_path(spec: str) -> bool:
    """Whether `make_background` takes it for a file or folder."""
    return spec != "transparent" and blur_strength(spec) is None and not re.fullmatch(_COLOUR, spec)


def colour(spec: str) -> Frame:
    """A 1x1 picture of the colour `#rrggbb`."""
    return np.array([[[int(spec[i : i + 2], 16) for i in (1, 3, 5)]]], np.uint8)


def blur_strength(spec: str) -> float | None:
    """The strength in `blur` or `blur:STRENGTH`, None if `spec` is neither.

    Raises:
        BackgroundError: a strength that is no number from 1 to 100.
    """
    if spec == "blur":
        return BLUR_STRENGTH
    if not spec.startswith("blur:"):
        return None
    try:
        strength = float(spec[5:])
    except ValueError:
        strength = 0.0
    if not 1 <= strength <= 100:
        raise BackgroundError(f"background {spec!r}: the strength must be a number from 1 to 100, as in blur:20")
    return strength
