"""The machine: cores, memory, folders, browser."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from figureground.doctor.check import Check

ENOUGH_MEMORY = 500  # MB; the live picture takes up to 350
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "brave-browser", "firefox")
_MAC_BROWSERS = ("Google Chrome", "Chromium", "Firefox", "Safari", "Brave Browser")


def cores() -> Check:
    """The cores this process may use, and how busy they are."""
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    detail = f"{allowed} to use, load {load:.1f}"
    if load > allowed:
        return Check("cores", "warning", f"{detail}: others take them all", "close what is busy; `top` names it")
    return Check("cores", "works", detail)


def memory(meminfo: Path = Path("/proc/meminfo")) -> Check:
    """The memory that is free; Linux tells, others are only asked how much there is."""
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines() if ":" in line)
        free = int(fields["MemAvailable"].split()[0]) // 1024
        detail = f"{free} MB free of {int(fields['MemTotal'].split()[0]) // 1024}"
        if free < ENOUGH_MEMORY:
            return Check("memory", "warning", detail, "close other programs: the live picture takes up to 350 MB")
        return Check("memory", "works", detail)
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return Check("memory", "works", f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') >> 20} MB in all")
    return Check("memory", "works", "this system does not tell how much there is")


def folders(data: Path) -> list[Check]:
    """Whether files can be written: in the folder of one's backgrounds, the temporary one and this one."""
    wanted = {"backgrounds": data, "temporary files": Path(tempfile.gettempdir()), "this folder": Path.cwd()}
    return [_folder(f"folder: {what}", path) for what, path in wanted.items()]


def _folder(name: str, path: Path) -> Check:
    # What is not there yet is made in the first folder above it that is.
    there = next(each for each in (path, *path.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"x")
    except OSError as error:
        remedy = f"sudo chown -R $USER '{there}'" if sys.platform != "win32" else f"choose another folder than {there}"
        return Check(name, "broken", f"{there}: cannot be written ({error.strerror})", remedy)
    return Check(name, "works", str(path))


def browser() -> Check:
    """Whether a browser that shows the page is there."""
    if sys.platform == "win32":
        return Check("browser", "works", "Edge comes with Windows")
    if sys.platform == "darwin":
        found = [each for each in _MAC_BROWSERS if Path(f"/Applications/{each}.app").exists()]
    else:
        found = [each for each in _BROWSERS if shutil.which(each)]
    if found:
        return Check("browser", "works", ", ".join(found))
    return Check(
        "browser",
        "absent",
        "no Chromium, Chrome or Firefox is found",
        "open the page from another machine, or install one",
    )
