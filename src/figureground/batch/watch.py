"""Hot folders: what is put into them is taken as soon as it is whole.

They are looked at again and again rather than reported by the system: that works on network disks and object stores,
which report nothing, and misses nothing where the system's queue of reports runs over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from figureground.batch.manifest import Find
from figureground.batch.places import Stamp, stamp
from figureground.batch.plan import Item
from figureground.errors import FigureGroundError

EVERY = 1.0  # seconds between two looks


def watch(look: Callable[[], Iterator[Item]], find: Find, options: str) -> Iterator[Item | None]:
    """The items whose file was the same in two looks, each once, and again when it changes; without end.

    What the manifest knows is not given again, be it done or failed, though its result may have been taken away: that
    is what results of a hot folder are for. A folder that is gone is waited for.

    Args:
        look: all items there are at the moment.
        find: what the manifest knows of an input.
        options: the hash of what is asked for; with another one everything is done again.

    Yields:
        Items; None after each look.
    """
    given, seen = dict[str, Stamp](), dict[str, Stamp]()
    while True:
        before, seen = seen, {}
        settled, given = given, {}
        for item in _looked(look):
            now = Stamp(0, item.refused) if item.refused else stamp(item.input)
            if now is None:  # removed since
                continue
            if settled.get(item.input) == now or _is_known(item, find, now, options):
                given[item.input] = now
            elif before.get(item.input) == now:
                given[item.input] = now
                yield item
            else:
                seen[item.input] = now
        yield None
        time.sleep(EVERY)


def _looked(look: Callable[[], Iterator[Item]]) -> Iterator[Item]:
    try:
        yield from look()
    except FigureGroundError:
        return


def _is_known(item: Item, find: Find, now: Stamp, options: str) -> bool:
    known = find(item.name)
    return known is not None and (known.bytes, known.modified, known.options) == (now.bytes, now.modified, options)
