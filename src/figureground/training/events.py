"""Figures for TensorBoard: event files, written without TensorFlow so that every Keras backend has them.

A file is a row of records (length, payload and a checksum of each), a payload an `Event` protocol buffer.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from figureground.errors import OutputError

_POLYNOMIAL = 0x82F63B78  # of CRC-32C, reflected
_DOUBLE, _BYTES, _FLOAT = 1, 2, 5  # wire types


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc_table()


@dataclass(frozen=True, slots=True)
class Board:
    """Two event files, so that TensorBoard draws training and validation into one chart."""

    train: Path
    val: Path

    @classmethod
    def start(cls, folder: Path, epoch: int) -> Board:
        """Begin both in `folder`, for a run that has come to `epoch`."""
        return cls(start_events(folder / "train", epoch), start_events(folder / "val", epoch))

    def add(self, row: Mapping[str, float]) -> None:
        """Add a row of metrics.csv; `val_loss` is the `loss` of validation."""
        epoch = int(row["epoch"])
        validation = {name: value for name, value in row.items() if name.startswith("val_")}
        training = {name: row[name] for name in row if name not in validation and name != "epoch"}
        add_scalars(self.train, epoch, training)
        add_scalars(self.val, epoch, {name.removeprefix("val_"): value for name, value in validation.items()})


def start_events(folder: Path, step: int) -> Path:
    """Begin an event file in `folder`; TensorBoard forgets what other files there hold of later than `step`.

    Raises:
        OutputError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{time.time_ns()}.figureground"
    _append(path, _event(step, _field(3, b"brain.Event:2")))
    _append(path, _event(step + 1, _field(7, _varint(1 << 3) + _varint(1))))  # SessionLog: START
    return path


def add_scalars(path: Path, step: int, scalars: Mapping[str, float]) -> None:
    """Add figures of one step (here an epoch) to an event file.

    Raises:
        OutputError: it cannot be written.
    """
    values = (
        _field(1, name.encode()) + _varint(2 << 3 | _FLOAT) + struct.pack("<f", value)
        for name, value in scalars.items()
    )
    _append(path, _event(step, _field(5, b"".join(_field(1, value) for value in values))))


def _append(path: Path, payload: bytes) -> None:
    length = struct.pack("<Q", len(payload))
    record = length + _masked_crc(length) + payload + _masked_crc(payload)
    try:
        with path.open("ab") as file:
            file.write(record)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error


def _event(step: int, content: bytes) -> bytes:
    stamp = _varint(1 << 3 | _DOUBLE) + struct.pack("<d", time.time())
    return stamp + _varint(2 << 3) + _varint(step) + content


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    head = b""
    while value > 127:
        head += bytes([value & 127 | 128])
        value >>= 7
    return head + bytes([value])


def _masked_crc(content: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
