"""Files in, files out: a new background, a cut-out or a matte for pictures and videos."""

from figureground.batch.compose import KINDS, make_compose
from figureground.batch.options import Options
from figureground.batch.plan import Item, Job, is_video, plan
from figureground.batch.run import replace, results
from figureground.batch.worker import Result

__all__ = ["KINDS", "Item", "Job", "Options", "Result", "is_video", "make_compose", "plan", "replace", "results"]
