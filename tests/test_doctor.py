"""The doctor tries what is really here, and names the line that mends what is not."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from figureground.camera import CameraInfo
from figureground.doctor import Check, checks, linux, machine, parts, report
from figureground.doctor.check import tried
from figureground.engine import shipped_models
from figureground.errors import ModelError
from figureground.sessions import usable_devices
from figureground.virtualcam import MODPROBE

RELEASE = os.uname().release if hasattr(os, "uname") else ""
SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def by_name(found: list[Check]) -> dict[str, Check]:
    named = {check.name: check for check in found}
    assert len(named) == len(found), "no two checks have one name"
    return named


def system(root: Path, **files: str | bytes) -> Path:
    """A file system of a Linux machine, as far as it is looked at."""
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def test_everything_is_tried_and_can_be_read_by_people_and_programs() -> None:
    found = checks()
    named = by_name(found)
    for model in shipped_models():
        for device in usable_devices():
            check = named[f"model {model} on {device}"]
            assert check.status == "works"
            assert re.match(r"\d+\.\d ms for a picture of 1280x720", check.detail)
    for codec in ("H.264", "VP9", "ProRes"):
        assert named[f"codec {codec}"].status == "works"
    assert {"cores", "memory", "browser", "folder: backgrounds", "extra virtualcam", "virtual camera"} <= named.keys()
    assert "LicenseRef-figureground-weights" in named["licence of the models"].detail
    assert "research and non-commercial" in named["licence of the models"].detail
    assert json.loads(json.dumps([asdict(check) for check in found]))[0]["name"] == found[0].name
    lines = report(found).splitlines()
    for check in found:
        assert any(line.startswith(f"{check.status:<8}{check.name}") for line in lines)
        assert not check.remedy or f"          {check.remedy}" in lines, "in one piece, to be copied"


def test_what_is_wrong_has_a_remedy() -> None:
    for check in checks():
        if check.status == "broken" or (check.status == "absent" and "below" not in check.detail):
            assert check.remedy, check


def test_a_part_that_fails_is_broken_and_says_why() -> None:
    def altered() -> Check:
        raise ModelError("small.onnx: altered since it was shipped")

    def surprised() -> Check:
        raise KeyError("MemTotal")

    assert tried("models", altered) == [Check("models", "broken", "small.onnx: altered since it was shipped")]
    (check,) = tried("memory", surprised)
    assert (check.status, check.detail) == ("broken", "KeyError: 'MemTotal'")


def test_a_camera_that_gives_nothing_is_broken_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PATIENCE", 0.5)
    monkeypatch.setattr(parts, "cameras", lambda: [CameraInfo("Null", "/dev/null"), CameraInfo("Gone", "/dev/gone")])
    null, gone = parts.camera_list()
    assert (null.name, null.status, null.detail) == ("camera 0: Null", "broken", "/dev/null is no camera")
    assert (gone.name, gone.status) == ("camera 1: Gone", "broken")
    assert gone.remedy


def test_a_model_that_was_altered_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "shipped_models", lambda: {"huge": {"licence": "none"}})
    broken, licence = parts.models()
    assert broken.status == "broken"
    assert "no such model" in broken.detail
    assert licence.detail.startswith("none")


@pytest.mark.skipif(not RELEASE, reason="of Linux only")
class TestLinux:
    def test_without_modules_the_host_is_named(self, tmp_path: Path) -> None:
        check = by_name(linux.module(tmp_path))["v4l2loopback"]
        assert (check.status, check.remedy) == ("absent", f"on the host:  {MODPROBE}")

    def test_a_module_that_is_not_installed(self, tmp_path: Path) -> None:
        system(tmp_path, **{f"lib/modules/{RELEASE}/modules.dep": ""})
        named = by_name(linux.module(tmp_path))
        assert re.match(r"sudo (apt|dnf|pacman|zypper) .*v4l2loopback", named["v4l2loopback"].remedy)
        assert re.match(r"sudo (apt|dnf|pacman|zypper) .*(headers|devel)", named["kernel headers"].remedy)
        (tmp_path / f"lib/modules/{RELEASE}/build").mkdir()
        assert "kernel headers" not in by_name(linux.module(tmp_path))

    def test_a_module_that_is_not_loaded(self, tmp_path: Path) -> None:
        system(tmp_path, **{f"lib/modules/{RELEASE}/updates/dkms/v4l2loopback.ko.zst": ""})
        named = by_name(linux.module(tmp_path))
        assert (named["v4l2loopback"].status, named["v4l2loopback"].remedy) == ("absent", MODPROBE)
        assert "exclusive_caps=1" in named["v4l2loopback at boot"].remedy
        assert "/etc/modules-load.d/v4l2loopback.conf" in named["v4l2loopback at boot"].remedy

    @pytest.mark.parametrize(("value", "status"), [("Y,N,N\n", "works"), ("N,N,N\n", "warning")])
    def test_the_options_it_was_loaded_with(self, tmp_path: Path, value: str, status: str) -> None:
        system(tmp_path, **{"sys/module/v4l2loopback/parameters/exclusive_caps": value})
        system(tmp_path, **{"etc/modules-load.d/video.conf": "# mine\nv4l2loopback\n"})
        named = by_name(linux.module(tmp_path))
        assert named["v4l2loopback"].status == status
        assert named["v4l2loopback at boot"].status == "works"
        assert (named["v4l2loopback"].remedy == "") == (status == "works")

    def test_secure_boot(self, tmp_path: Path) -> None:
        assert linux.secure_boot(tmp_path).detail.startswith("not there")
        system(tmp_path, **{SECURE_BOOT: b"\x06\0\0\0\x00"})
        assert linux.secure_boot(tmp_path).detail.startswith("off")
        system(tmp_path, **{SECURE_BOOT: b"\x06\0\0\0\x01"})
        assert linux.secure_boot(tmp_path).remedy == "sudo mokutil --import /var/lib/dkms/mok.pub && sudo reboot"
        system(tmp_path, **{"var/lib/shim-signed/mok/MOK.der": b"key"})
        assert linux.secure_boot(tmp_path).remedy.startswith("sudo mokutil --import /var/lib/shim-signed/mok/MOK.der")
        assert linux.secure_boot(tmp_path, loaded=True).status == "works"

    def test_a_device_that_may_not_be_opened(self, tmp_path: Path) -> None:
        assert linux.permission(tmp_path) == []
        # Root may open any file; but nobody a link that leads nowhere.
        (tmp_path / "video0").symlink_to(tmp_path / "nowhere")
        (check,) = linux.permission(tmp_path)
        assert check.remedy.startswith("sudo usermod -aG video $USER")

    def test_a_snap_without_its_camera(self) -> None:
        table = "Interface  Plug  Slot  Notes\ncamera  chromium:camera  {}  -\nnetwork  x:network  :network  -"
        assert linux.camera_plug("chromium", table.format(":camera")) == []
        assert linux.camera_plug("chromium", "error: no such snap") == []
        (check,) = linux.camera_plug("chromium", table.format("-"))
        assert check.remedy == "sudo snap connect chromium:camera"


def test_little_memory_is_a_warning(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  4000000 kB\nMemAvailable:  300000 kB\nHugePages_Total: 0\n", encoding="ascii")
    check = machine.memory(meminfo)
    assert (check.status, check.detail) == ("warning", "292 MB free of 3906")
    assert machine.memory(tmp_path / "none").status == "works"


def test_a_folder_that_cannot_be_written_is_broken(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    system_folder = Path("/proc/sys/kernel")  # where not even root makes files
    if not system_folder.exists():
        pytest.skip("no folder here that nobody may write to")
    broken, temporary, here = machine.folders(system_folder / "figureground")
    assert broken.status == "broken"
    assert broken.remedy == f"sudo chown -R $USER '{system_folder}'"
    assert (temporary.status, here.status) == ("works", "works")
    assert machine.folders(tmp_path / "new" / "one")[0].status == "works"
    assert not (tmp_path / "new").exists()
