"""Files in, files out: a new background, a cut-out or a matte for pictures and videos."""

from figureground.batch.compose import KINDS, make_compose
from figureground.batch.plan import Job, is_video, plan
from figureground.batch.run import Result, replace

__all__ = ["KINDS", "Job", "Result", "is_video", "make_compose", "plan", "replace"]
