"""Nothing asks for the network: every command is run with a library before libc that notes it, some without a network.

The library sees what native code does too: ONNX Runtime, FFmpeg, OpenVINO and TensorFlow.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from figureground.arrays import Frame
from figureground.images import write_image
from scenes import make_scene
from training_data import write_dataset
from videos import H264, make_video

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Desk:
    """A folder with inputs, and the library that listens."""

    folder: Path
    library: Path

    def environment(self) -> dict[str, str]:
        return os.environ | {"LD_PRELOAD": str(self.library), "SOCKETS": str(self.folder / "sockets")}

    def run(self, arguments: Sequence[str], before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        (self.folder / "sockets").unlink(missing_ok=True)
        command = [*before, sys.executable, *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=180, check=False
        )

    def asked(self) -> list[str]:
        """What was asked of the network."""
        path = self.folder / "sockets"
        return path.read_text(encoding="ascii").splitlines() if path.exists() else []


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, astronaut: Frame) -> Desk:
    compiler = shutil.which("cc")
    if not sys.platform.startswith("linux") or compiler is None:
        pytest.skip("needs Linux and a C compiler: apt install gcc libc6-dev")
    folder = tmp_path_factory.mktemp("offline")
    library = folder / "sockets.so"
    built = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(HERE / "sockets.c")]
    subprocess.run([*built, "-ldl"], check=True)
    write_image(folder / "astronaut.png", astronaut)
    pictures = [make_scene(320, 180, figure=(200, 150 - 10 * step, 120)).frame for step in range(8)]
    make_video(folder / "room.mp4", pictures, 15, H264, sound="aac")
    write_dataset(folder / "people", train=4, val=2)
    return Desk(folder, library)


MODULE = ["-m", "figureground"]
TRAIN = ["--recipe", "light", "--set", "epochs=1", "--set", "batch=2", "--set", "size=32", "--set", "cache_side=64"]
COMMANDS = {
    "help": [*MODULE, "--help"],
    "a picture": [*MODULE, "replace", "astronaut.png", "--output", "out.png"],
    "a video with sound": [*MODULE, "replace", "room.mp4", "--output", "out.mp4"],
    "prepare": [*MODULE, "prepare", "people", "--output", "prepared"],
    "explore": [*MODULE, "explore", "people", "--output", "explored.html"],
    "augment": [*MODULE, "augment", "people", "--output", "grid.png"],
    "train": [*MODULE, "train", "people", "--output", "run", *TRAIN],
    "export": [*MODULE, "export", "run", "--to", "openvino", "--output", "own.xml", "--force"],
    "evaluate": [*MODULE, "evaluate", "small", "people", "--output", "report.html"],
    "doctor": [*MODULE, "doctor"],
    "bench": [*MODULE, "bench", "--size", "64x36"],
}

# urllib3, which TensorFlow imports, looks whether this computer has IPv6; it listens to nobody and sends nothing.
IPV6 = ["socket 6", "bind ::1"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_asks_nothing_of_the_network(desk: Desk, name: str) -> None:
    done = desk.run(COMMANDS[name])
    assert done.returncode in ((0, 1) if name == "doctor" else (0,)), done.stderr
    assert desk.asked() in ([], *([IPV6] if name in ("train", "export", "bench") else []))


@pytest.mark.parametrize("name", ["a picture", "a video with sound", "evaluate"])
def test_a_command_works_where_there_is_no_network_at_all(desk: Desk, name: str) -> None:
    """In a network namespace of its own: no interface is up, not even the loopback."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rn", "true"], check=False).returncode:
        pytest.skip("this system lets nobody make a network namespace")
    for path in desk.folder.glob("out.*"):
        path.unlink()
    done = desk.run(COMMANDS[name], before=["unshare", "-rn"])
    assert done.returncode == 0, done.stderr
    assert desk.asked() == []


def test_onnx_runtime_reports_to_nobody(desk: Desk, tmp_path: Path) -> None:
    """Left to itself it writes a number for the computer at once, and looks its makers up after ten seconds."""
    script = "import time; from figureground.engine import Engine; Engine('small'); time.sleep(15)"
    home = ["env", f"HOME={tmp_path}", "XDG_CACHE_HOME="]
    assert desk.run(["-c", script], before=home).returncode == 0
    assert desk.asked() == []
    assert [*tmp_path.rglob("*")] == []


def test_live_to_a_file_asks_nothing_of_the_network(desk: Desk) -> None:
    (desk.folder / "sockets").unlink(missing_ok=True)
    command = [sys.executable, *MODULE, "live", "--camera", "room.mp4", "--to", "file:live.mp4", "--size", "320x180"]
    live = subprocess.Popen(command, cwd=desk.folder, env=desk.environment(), stderr=subprocess.PIPE, text=True)
    time.sleep(6)
    assert live.poll() is None
    live.send_signal(signal.SIGINT)
    live.communicate(timeout=60)
    assert (desk.folder / "live.mp4").stat().st_size > 1000
    assert desk.asked() == []


def test_the_server_listens_on_this_computer_and_asks_nobody(desk: Desk) -> None:
    (desk.folder / "sockets").unlink(missing_ok=True)
    command = [sys.executable, *MODULE, "serve", "--camera", "room.mp4", "--port", "0"]
    with subprocess.Popen(
        command, cwd=desk.folder, env=desk.environment(), stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        while "http://127.0.0.1:" not in server.stderr.readline():
            assert server.poll() is None
        time.sleep(4)
        assert server.poll() is None
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=60)
    asked = desk.asked()
    assert "bind 127.0.0.1" in asked
    assert {line for line in asked if not line.startswith(("socket ", "look up "))} == {"bind 127.0.0.1"}
    assert {line for line in asked if line.startswith("look up ")} <= {"look up 127.0.0.1"}


def test_what_does_ask_is_noticed(desk: Desk) -> None:
    """So that the silence of the others means something: Python's sockets, and FFmpeg's own."""
    desk.run(["-c", "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"])
    assert desk.asked() == ["socket 4", "connect 127.0.0.1"]
    desk.run(["-c", "import av; av.open('http://127.0.0.1:9/film.mp4')"])
    assert "connect 127.0.0.1" in desk.asked()
