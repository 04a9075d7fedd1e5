"""Processes as somebody in front of a terminal starts them."""

from __future__ import annotations

import signal


def as_in_a_terminal() -> None:
    """Of a new process, before it begins: it heeds what `nohup`, or the background of a shell, had shut out."""
    for sign in (signal.SIGINT, signal.SIGHUP):
        signal.signal(sign, signal.SIG_DFL)
