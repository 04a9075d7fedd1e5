"""The live loop: the camera's newest frame, made safe, out to whoever watches; and what the page may ask of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from fractions import Fraction
from threading import Condition, Event, Lock, Thread
from typing import Literal

import cv2
import numpy as np

from figureground.arrays import Frame
from figureground.camera import Camera, Shot, cameras
from figureground.engine import Engine, licence_of, shipped_models
from figureground.errors import OutputError
from figureground.live.ahead import Held, LookAhead
from figureground.live.figures import Figures, resident_bytes
from figureground.live.framing import Framing
from figureground.live.governor import Decision, Governor, levels_for
from figureground.live.guard import Guard, Picture
from figureground.live.matting import Matting
from figureground.live.memory import give_back_freed_memory, keep_freed_memory
from figureground.live.outputs import Outputs
from figureground.live.parts import Parts, make_parts
from figureground.live.settings import Settings
from figureground.pipeline import Sink

Light = Literal["live", "covered", "stopped"]
PATIENCE = 0.5  # seconds without a new picture after which the cover is shown, at least
MOST_PATIENCE = 2.0  # and at most
IDLE = 0.25  # seconds between two covers while nothing comes
WATCHED = 2.0  # seconds a preview is kept up to date after it was last asked for
PREVIEWS = 25  # a second at most
TINT = (255, 60, 120)  # RGB of the mask when it is shown
UNWATCHED = 5  # seconds without anybody watching after which the camera is closed
TOO_LONG = "the picture before takes too long"
DECISIONS = 20  # kept for the page
LOADING = 60.0  # seconds a model may go on loading at the end: Python aborts where it ends beneath that
ENDING = 5.0  # seconds after which what hangs, a model or whoever reads a pipe, is left to itself


class Live:
    """A camera's picture with another background; a context manager. Every method may be called from any thread.

    From entering to leaving, every output gets pictures of one size without a pause: composites while all is well
    (see `Guard`), else the background.

    Args:
        settings: what to begin with.
        size: width and height of every picture, in pixels.
        outputs: sinks that each get every picture, once entered.
        to: their names, for people.
        start: whether the camera is opened at once, or by `start()`.
        paced: False takes a file's frames as fast as they can be shown, all of them: for measuring.
        event: called with each change of state and decision, as a dict for a log.
        watched: whether somebody reads an output that can tell; while it says False the camera is closed.
    """

    def __init__(
        self,
        settings: Settings,
        size: tuple[int, int] = (1280, 720),
        outputs: Sequence[AbstractContextManager[Sink]] = (),
        to: str = "page",
        start: bool = True,
        paced: bool = True,
        event: Callable[[dict[str, object]], object] = lambda _: None,
        watched: Callable[[], bool | None] = lambda: None,
    ) -> None:
        self.width, self.height = size
        self.error: Exception | None = None  # why it ended by itself
        self.ended = Event()
        self._to, self._outputs, self._paced, self._event, self._watched = to, Outputs(outputs), paced, event, watched
        self._settings, self._running, self._hidden = settings, start, False
        self._parts: Parts | None = None  # what the loop uses; None until the first model is loaded
        self._changing, self._sending, self._new = Lock(), Lock(), Condition()
        self._closing = Event()
        self._figures, self._governor = Figures(), Governor(settings.fps, settings.cpu)
        self._decisions: list[dict[str, object]] = []
        self._light: Light = "stopped"
        self._why, self._remedy = "starting", ""
        self._frames = self._covered = 0
        self._camera: Camera | None = None
        self._opened = ""  # its spec
        self._guard = Guard(self.width, self.height)
        self._sent_at = self._begun = time.monotonic()
        self._preview: tuple[int, Frame] | None = None
        self._preview_until = self._preview_at = 0.0
        self._listed: tuple[float, list[dict[str, str]]] = (float("-inf"), [])
        self._watched_until, self._unwatched = 0.0, 0
        self._threads = [
            Thread(target=each, name=f"live-{each.__name__}", daemon=True)
            for each in (self._load, self._run, self._watch)
        ]

    def __enter__(self) -> Live:
        keep_freed_memory()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._closing.set()
        load, run, watch = self._threads
        load.join(LOADING)
        run.join(ENDING)
        watch.join(IDLE)
        self._close_outputs(IDLE)  # where the loop hangs

    # What the page asks for.

    def change(self, changes: Mapping[str, object]) -> None:
        """Put some settings in force; what they name is read and loaded before anything is changed.

        Raises:
            FigureGroundError: a setting, background, model or overlay that cannot be used; nothing is changed then.
        """
        with self._changing:
            settings = self._settings.changed(changes)
            parts = make_parts(settings, self.width, self.height, self._now(), self._parts)
            if self._parts is None or settings.model != self._settings.model:
                self._event({"event": "model", "model": settings.model, "licence": licence_of(settings.model)})
            self._settings, self._parts = settings, parts
            give_back_freed_memory()

    def start(self) -> None:
        """Open the camera."""
        self._running = True

    def stop(self) -> None:
        """Close the camera; the outputs show the background."""
        self._running = False

    def cover(self, on: bool) -> None:
        """Show the background alone, or the person again."""
        self._hidden = on

    def preview(self, after: int, timeout: float) -> tuple[int, Frame] | None:
        """The newest picture numbered above `after` and its number; None if there is none within `timeout` seconds."""
        self._preview_until = time.monotonic() + WATCHED
        with self._new:
            self._new.wait_for(lambda: self._preview is not None and self._preview[0] > after, timeout)
            newest = self._preview
        return newest if newest is not None and newest[0] > after else None

    def state(self) -> dict[str, object]:
        """All that is known, as JSON can hold it."""
        now, camera = time.monotonic(), self._camera
        return {
            "light": self._light,
            "reason": self._why,
            "remedy": self._remedy,
            "hidden": self._hidden,
            "settings": asdict(self._settings),
            "camera": {
                "name": camera.name if camera else "",
                "width": camera.width if camera else 0,
                "height": camera.height if camera else 0,
                "rate": float(camera.rate) if camera else 0.0,
                "dropped": camera.dropped if camera else 0,
            },
            "output": {"to": self._to, "width": self.width, "height": self.height, "fps": self._figures.rate(now)},
            "latency_ms": self._figures.latency_ms(),
            "stages_ms": self._figures.stages_ms(),
            "cpu": self._figures.processor_share(),
            "memory_mb": round(resident_bytes() / 1e6, 1),
            "governor": {"level": self._governor.level.name, "decisions": self._decisions[-DECISIONS:]},
            "frames": self._frames,
            "covered": self._covered,
            "models": sorted(shipped_models()),
            "cameras": self._cameras(now),
        }

    def _cameras(self, now: float) -> list[dict[str, str]]:
        if now - self._listed[0] > 3:
            self._listed = (now, [asdict(each) for each in cameras()])
        return self._listed[1]

    # The loop and its two helpers, each in its own thread.

    def _load(self) -> None:
        try:
            self.change({})
        except Exception as error:  # told by the command, in the thread that waits for the end
            self._end(error)

    def _run(self) -> None:
        try:
            self._outputs.open()
            self._show(self._guard.cover(0.0, "starting"), None)
            try:
                self._loop()
            finally:
                self._close_camera()
                self._show(self._guard.cover(self._now(), "ended"), None)
        except Exception as error:  # an output that cannot go on; the camera is closed by now
            self._end(error)
        finally:
            self._close_outputs(ENDING)
            self.ended.set()

    def _close_outputs(self, patience: float) -> None:
        """A file that never got as far as to show anybody is not worth what stood there before."""
        nothing = None if self._parts is not None else self.error or OutputError("nothing was shown")
        try:
            self._outputs.close(nothing, patience)
        except Exception as error:
            self.error = self.error or error

    def _end(self, error: Exception) -> None:
        self.error = self.error or error
        self._turn("stopped", str(error), "")
        self._closing.set()

    def _loop(self) -> None:
        parts, matting, ahead, camera, framing = None, None, None, None, Framing(self.width, self.height)
        due = 0.0
        while not self._closing.is_set():
            if self._parts is None:
                self._wait("the model is loading", "")
                continue
            if self._parts is not parts:
                parts = self._parts
                self._guard.background = parts.background
                framing = Framing(self.width, self.height, parts.settings.fit, parts.settings.mirror)
                self._govern(parts.settings)
            shot = self._next_shot(parts.settings)
            if shot is None:
                continue
            apart = 1 / (parts.settings.fps * self._governor.level.rate)
            if self._paced and shot.captured < due - 0.5 * apart:
                continue  # the camera gives more than is asked for
            due = max(due, shot.captured - apart) + apart
            # What is known of one camera's pictures, a frame that waits among it, is nothing to the next one.
            if matting is None or matting.made_of != self._made_of(parts) or camera is not self._camera:
                camera = self._camera
                matting, ahead = Matting(*self._made_of(parts), self._figures.lap), None
            matting.effort = self._governor.level.effort
            ahead = (ahead or LookAhead(matting)) if parts.settings.look_ahead else None
            self._picture(shot, framing, ahead or matting, parts)

    def _next_shot(self, settings: Settings) -> Shot | None:
        """The camera's newest frame; without one, the cover is shown where it is time for that."""
        wanted = self._running and self._anybody_watches()
        if self._camera is not None and (not wanted or self._opened != settings.camera):
            self._close_camera()
        if not wanted:
            self._wait("stopped" if not self._running else "nobody watches the output", "", light="stopped")
            return None
        if self._camera is None:
            self._opened = settings.camera
            self._camera = Camera(settings.camera, (self.width, self.height), settings.fps, self._paced)
        shot = self._camera.newest(timeout=IDLE)
        if shot is None and time.monotonic() - self._sent_at > self._patience():
            fault = self._camera.fault
            self._wait(fault.reason if fault else "waiting for the camera", fault.remedy if fault else "", seconds=0)
        return shot

    def _anybody_watches(self) -> bool:
        """Whether the output is read, as far as it can tell, or the page shows it; asked for once a second."""
        now = time.monotonic()
        if now >= self._watched_until:
            seen = self._watched() is not False or now < self._preview_until
            # Nobody for a moment is no reason to close the camera: programs open a device several times.
            self._unwatched = 0 if seen else self._unwatched + 1
            self._watched_until = now + 1
        return self._unwatched < UNWATCHED

    def _close_camera(self) -> None:
        if self._camera is not None:
            Thread(target=self._camera.close, name="live-close", daemon=True).start()  # a hung device must not hold us
            self._camera = None

    def _wait(self, reason: str, remedy: str, light: Light = "covered", seconds: float = IDLE) -> None:
        self._show(self._guard.cover(self._now(), reason), None)
        self._turn(light, reason, remedy)
        self._closing.wait(seconds)

    def _picture(self, shot: Shot, framing: Framing, matting: Matting | LookAhead, parts: Parts) -> None:
        """One frame, from having it to having sent it."""
        begun = time.monotonic()
        self._figures.begin()
        self._figures.lap("wait", begun - shot.captured)
        # The camera does not write to a frame that anybody holds (`Shot`): it stays what its alpha was computed from.
        newest = Held(framing(shot.frame), shot.captured - self._begun, shot.captured)
        held = matting.exchange(newest) if isinstance(matting, LookAhead) else newest
        if held is None:
            return
        reason = self._closed_by_hand()
        if not reason:
            made = self._guard(held.frame, held.time, matting, self._figures.lap)
            reason = self._closed_by_hand()  # asked for while the picture was made, however long that took
        if reason:
            made = self._guard.cover(held.time, reason)
        if made.reason:
            matting.reset()
            self._covered += 1
        # The light is live from before the first picture of somebody until after the first cover.
        if not made.reason:
            self._turn("live", "", "")
        self._show(self._dressed(made, parts), held.captured)
        if made.reason:
            self._turn("covered", made.reason, "")
        now = time.monotonic()
        self._figures.lap("send")
        spent = self._figures.sent(now, now - held.captured)
        decision = self._governor.note(now, now - begun, spent) if self._paced else None
        if decision is not None:
            self._log(decision)

    def _closed_by_hand(self) -> str:
        """Why nobody may be shown now, whatever the frame; "" if they may. Others set both flags at any moment."""
        if self._hidden:
            return "covered by hand"
        return "" if self._running else "stopped"

    def _dressed(self, made: Picture, parts: Parts) -> Picture:
        """With the mask tinted and the overlay over it, where these are asked for."""
        matte = made.matte if parts.settings.show_mask else None
        if matte is None and parts.overlay is None:
            return made
        picture = made.picture.copy()
        if matte is not None:
            person = np.asarray(matte > 127, np.uint8)
            cv2.copyTo(cv2.addWeighted(picture, 0.6, np.full_like(picture, TINT), 0.4, 0), person, dst=picture)
        if parts.overlay is not None:
            parts.overlay.draw(picture)
        return Picture(picture, made.matte, made.reason)

    def _show(self, made: Picture, captured: float | None) -> None:
        """The one place where pictures leave."""
        with self._sending:
            now = time.monotonic()
            at = max(Fraction(round(1e6 * ((captured or now) - self._begun)), 1_000_000), Fraction(0))
            self._outputs.send(made.picture, at)
            self._frames += 1
            self._sent_at = time.monotonic()
            if now < self._preview_until and (now - self._preview_at) * PREVIEWS >= 1:
                self._preview_at = now
                with self._new:
                    self._preview = (self._frames, made.picture.copy())
                    self._new.notify_all()

    def _watch(self) -> None:
        """While the loop is held up by a model or a background, the cover is shown in its place."""
        while not self._closing.wait(IDLE / 2):
            is_late = time.monotonic() - self._sent_at > 2 * self._patience()
            if is_late and self._frames and not self.ended.is_set():  # there are none before the outputs are open
                if self._sending.locked():  # then no cover comes through either
                    self._turn(self._light, "the output takes no more pictures", "")
                try:
                    self._show(self._guard.standby(TOO_LONG), None)
                    self._turn("covered", TOO_LONG, "")
                except Exception as error:  # an output that cannot go on
                    self._end(error)

    # Small things.

    def _patience(self) -> float:
        """Seconds without a new picture after which the cover is shown; some cameras give one a second.

        Not longer for who is to be covered by hand, nor for what only says that it gives one an hour.
        """
        camera = self._camera  # another thread closes it
        rate = camera.rate if camera is not None else 0.0
        return PATIENCE if self._hidden or not rate else min(max(PATIENCE, 1.5 / rate), MOST_PATIENCE)

    def _now(self) -> float:
        return time.monotonic() - self._begun

    def _made_of(self, parts: Parts) -> tuple[Engine, str, bool, bool]:
        """What a Matting is made of; while that is the same, it goes on with what it knows of the stream."""
        settings = parts.settings
        engine = parts.engines[self._governor.level.model or settings.model]
        return engine, settings.people, settings.stabilise, settings.refine

    def _govern(self, settings: Settings) -> None:
        levels = levels_for(settings.model, settings.cpu)
        if (settings.fps, settings.cpu, levels) != (self._governor.fps, self._governor.cpu, self._governor.levels):
            self._governor = Governor(settings.fps, settings.cpu, levels)

    def _turn(self, light: Light, reason: str, remedy: str) -> None:
        if (light, reason) != (self._light, self._why):
            self._event({"event": "light", "light": light, "reason": reason, "remedy": remedy})
        self._light, self._why, self._remedy = light, reason, remedy

    def _log(self, decision: Decision) -> None:
        said: dict[str, object] = {"at": time.strftime("%H:%M:%S"), "level": decision.level, "reason": decision.reason}
        self._decisions.append(said)
        del self._decisions[:-DECISIONS]
        self._event({"event": "governor", **said})
