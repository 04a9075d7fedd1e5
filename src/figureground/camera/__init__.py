"""Cameras, and what can stand in for one: video files, named pipes, streams."""

from figureground.camera.capture import Camera, Fault, Shot
from figureground.camera.devices import CameraInfo, cameras

__all__ = ["Camera", "CameraInfo", "Fault", "Shot", "cameras"]
