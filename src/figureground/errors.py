"""Everything this package raises on purpose.

FigureGroundError           base: the message is one line with what, where and how to mend it
├── ArrayError (ValueError) an array of the wrong shape, dtype or range reached a public function
├── InputError              a file or folder that cannot be read, or holds nothing usable
│   ├── ImageError          a picture: missing, truncated, too large, not a picture
│   │   ├── NoImageError    not a picture, or of a format that is not read
│   │   └── LargeImageError over the limit of pixels
│   ├── VideoError          a video: missing, truncated, no video stream
│   ├── ChangedError        a file that somebody wrote or removed while it was read
│   ├── CameraError         a camera that gives no pictures
│   │   └── NoCameraError   there is none of that name
│   └── DatasetError        a dataset folder or its manifest
├── ModelError              a model that is unknown, altered, unreadable or of the wrong shape
├── ClusterError            a cluster that cannot be reached, or on which nothing can be done
├── OutputError             a result that cannot be written where it was asked for
├── BackgroundError         a background spec that cannot be understood
├── SettingError            a setting of the live picture that is unknown or out of range
├── RecipeError             a training setting that is unknown or of the wrong type
├── TrainingError           training that cannot go on (loss not finite, nothing to resume)
└── MissingExtraError       an optional part that is not installed; names the pip command
"""

from __future__ import annotations


class FigureGroundError(Exception):
    """Base of all errors raised on purpose; `str(error)` is one line for the user."""


class ArrayError(FigureGroundError, ValueError):
    """An array of the wrong shape, dtype or range."""


class InputError(FigureGroundError):
    """A file or folder that cannot be read or holds nothing usable."""


class ImageError(InputError):
    """A picture that cannot be read."""


class NoImageError(ImageError):
    """A file that is not a picture, or of a format that is not read."""


class LargeImageError(ImageError):
    """A picture over the limit of pixels."""


class VideoError(InputError):
    """A video that cannot be read."""


class ChangedError(InputError):
    """A file that somebody wrote or removed while it was read."""


class CameraError(InputError):
    """A camera that gives no pictures; `reason` says why, `remedy` what to do."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}: {remedy}")
        self.reason = reason
        self.remedy = remedy


class NoCameraError(CameraError):
    """A camera that is not there."""


class DatasetError(InputError):
    """A dataset folder that is not in the format `prepare` writes."""


class ModelError(FigureGroundError):
    """A model that is unknown, altered, unreadable or of the wrong shape."""


class ClusterError(FigureGroundError):
    """A cluster that cannot be reached, or on which nothing can be done."""


class OutputError(FigureGroundError):
    """A result that cannot be written."""


class BackgroundError(FigureGroundError):
    """A background spec that cannot be understood."""


class SettingError(FigureGroundError):
    """A setting of the live picture that is unknown or out of range."""


class RecipeError(FigureGroundError):
    """A training setting that is unknown or of the wrong type."""


class TrainingError(FigureGroundError):
    """Training that cannot start or go on."""


class MissingExtraError(FigureGroundError):
    """An optional part that is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} is not installed: run  pip install 'figureground[{extra}]'")


def reason(error: Exception) -> str:
    """What the system or a library says went wrong, in a few words."""
    return getattr(error, "strerror", None) or str(error)
