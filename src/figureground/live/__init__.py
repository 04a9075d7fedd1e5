"""A camera's picture with another background, as it happens."""

from figureground.live.loop import Live
from figureground.live.settings import Settings

__all__ = ["Live", "Settings"]
