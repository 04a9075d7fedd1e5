"""What stands between a Linux system and its cameras: modules, secure boot, groups, snaps."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from figureground.doctor.check import Check
from figureground.virtualcam import MODPROBE

_OPTIONS = MODPROBE.partition("v4l2loopback ")[2]
AT_BOOT = (
    "echo v4l2loopback | sudo tee /etc/modules-load.d/v4l2loopback.conf"
    f" && echo 'options v4l2loopback {_OPTIONS}' | sudo tee /etc/modprobe.d/v4l2loopback.conf"
)
_RELOAD = f"sudo modprobe -r v4l2loopback && {MODPROBE}"
_INSTALL = {
    "apt": "sudo apt install v4l2loopback-dkms linux-headers-$(uname -r)",
    "dnf": "sudo dnf install akmod-v4l2loopback kernel-devel-$(uname -r)  (from RPM Fusion)",
    "pacman": "sudo pacman -S v4l2loopback-dkms linux-headers",
    "zypper": "sudo zypper install v4l2loopback-kmp-default",
}
_HEADERS = {
    "apt": "sudo apt install linux-headers-$(uname -r)",
    "dnf": "sudo dnf install kernel-devel-$(uname -r)",
    "pacman": "sudo pacman -S linux-headers",
    "zypper": "sudo zypper install kernel-default-devel",
}
_SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_KEYS = ("var/lib/shim-signed/mok/MOK.der", "var/lib/dkms/mok.pub")  # with which Ubuntu, and DKMS elsewhere, sign
_SNAPS = ("chromium", "firefox", "zoom-client", "discord", "teams-for-linux")


def module(root: Path = Path("/")) -> list[Check]:
    """The kernel's v4l2loopback: built, loaded, with the right options, at every boot, not stopped by secure boot."""
    release = os.uname().release
    modules = root / "lib/modules" / release
    loaded = root / "sys/module/v4l2loopback"
    if loaded.exists():
        return [_options(loaded), _at_boot(root), secure_boot(root, loaded=True)]
    name = "v4l2loopback"
    if not modules.exists():
        detail = f"no modules for this kernel ({release}) are installed here: a container?"
        return [Check(name, "absent", detail, f"on the host:  {MODPROBE}"), secure_boot(root)]
    if any(modules.rglob("v4l2loopback.ko*")):
        return [Check(name, "absent", "installed, not loaded", MODPROBE), _at_boot(root), secure_boot(root)]
    checks = [Check(name, "absent", "not installed", _for_this_system(_INSTALL))]
    if not (modules / "build").exists():
        detail = f"not installed for {release}: v4l2loopback cannot be built"
        checks.append(Check("kernel headers", "absent", detail, _for_this_system(_HEADERS)))
    return [*checks, secure_boot(root)]


def _for_this_system(lines: dict[str, str]) -> str:
    return next((line for tool, line in lines.items() if shutil.which(tool)), lines["apt"])


def _options(loaded: Path) -> Check:
    try:
        exclusive = (loaded / "parameters/exclusive_caps").read_text(encoding="ascii").split(",")[0].strip()
    except OSError:
        exclusive = "?"
    if exclusive == "N":
        detail = "loaded without exclusive_caps=1: Chrome and Zoom do not show the virtual camera"
        return Check("v4l2loopback", "warning", detail, _RELOAD)
    return Check("v4l2loopback", "works", "loaded")


def _at_boot(root: Path) -> Check:
    files = [*(root / "etc/modules-load.d").glob("*.conf"), root / "etc/modules"]
    lines = [line.strip() for file in files if file.is_file() for line in file.read_text(errors="replace").splitlines()]
    if "v4l2loopback" in lines:
        return Check("v4l2loopback at boot", "works", "loaded at every start of the system")
    return Check("v4l2loopback at boot", "warning", "gone after the next start of the system", AT_BOOT)


def secure_boot(root: Path = Path("/"), loaded: bool = False) -> Check:
    """Whether the firmware has the kernel refuse modules signed with a key it does not know."""
    try:
        on = (root / _SECURE_BOOT).read_bytes()[-1:] == b"\x01"
    except OSError:
        return Check("secure boot", "works", "not there: modules load without a signature")
    if not on:
        return Check("secure boot", "works", "off: modules load without a signature")
    if loaded:
        return Check("secure boot", "works", "on, and v4l2loopback is signed")
    key = next((each for each in _KEYS if (root / each).exists()), _KEYS[-1])
    detail = "on: a module built here loads only once its key is known (`Key was rejected` says so)"
    return Check("secure boot", "warning", detail, f"sudo mokutil --import /{key} && sudo reboot")


def permission(devices: Path = Path("/dev")) -> list[Check]:
    """The video devices this user may not open."""
    closed = [str(each) for each in sorted(devices.glob("video[0-9]*")) if not os.access(each, os.R_OK | os.W_OK)]
    if not closed:
        return []
    detail = f"you may not open {', '.join(closed)}"
    return [Check("group video", "broken", detail, "sudo usermod -aG video $USER  and log in anew")]


def snaps() -> list[Check]:
    """The snaps that see no camera, not a virtual one either, until they are allowed to."""
    snap = shutil.which("snap")
    return [check for name in _SNAPS if snap and Path(f"/snap/{name}").exists() for check in _snap(snap, name)]


def _snap(snap: str, name: str) -> list[Check]:
    try:
        done = subprocess.run([snap, "connections", name], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return camera_plug(name, done.stdout)


def camera_plug(name: str, connections: str) -> list[Check]:
    """What `snap connections` says of a snap's camera: interface, plug, slot (- where there is none) and notes."""
    rows = [line.split() for line in connections.splitlines() if line.startswith("camera ")]
    if any(len(row) > 2 and row[2] == "-" for row in rows):
        return [Check(f"snap {name}", "warning", "may not use cameras", f"sudo snap connect {name}:camera")]
    return []
