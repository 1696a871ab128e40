"""SIGINT and SIGTERM: a training ends in order and leaves the best model so far."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ONE_SIGNAL = 1.0
"""Seconds within which signals count as one: process groups are often signalled twice."""


class Interrupted(BaseException):
    """A signal ended the work. Not an ``Exception``: nobody on the way may take it for an error.

    Args:
        signal: its number.
        where: in which part of the work.
    """

    def __init__(self, signal: int, where: str = "") -> None:
        super().__init__(f"interrupted by {name_of(signal)} {where}".strip())
        self.signal = signal


def name_of(number: int) -> str:
    """``SIGTERM`` of 15."""
    return signal.Signals(number).name


def is_further_process() -> bool:
    """Whether the first process of a training on several devices has started this one."""
    return os.environ.get("LOCAL_RANK", "0") != "0"


class Interruptions:
    """The signals that came in, and what they do.

    The first one is remembered; it ends the work at once only within ``at_once``, otherwise where
    somebody looks. A second one, some time later, ends the process as if nobody had asked for it.
    A signal that is ignored, as in the background of a script, stays ignored.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._at_once = False
        self._where = ""
        self._when = 0.0
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        """Take the signals, from whoever has them at present; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            if signal.getsignal(number) is signal.SIG_IGN:
                continue
            handler = signal.signal(number, self._handle)
            self._before.setdefault(number, handler)

    def __enter__(self) -> "Interruptions":
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    @contextlib.contextmanager
    def at_once(self, where: str) -> Iterator[None]:
        """Work, told by ``where``, that a signal breaks off with :class:`Interrupted`.

        Not in further processes of a training: one that ends takes the first one with it, by force.
        """
        if is_further_process():
            yield
            return
        self._at_once, self._where = True, where
        try:
            yield
        finally:
            self._at_once = False
        if self.received is not None:  # somebody on the way has swallowed it
            raise Interrupted(self.received, where)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.received is None:
            self.received, self._when = number, now
            if self._at_once:
                raise Interrupted(number, self._where)
        elif now - self._when > _ONE_SIGNAL:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
