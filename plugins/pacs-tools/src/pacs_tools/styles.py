"""Colours of what is printed, where somebody looks at a terminal (https://no-color.org)."""

import os
import sys
from collections.abc import Callable
from typing import Final, TypeAlias

Style: TypeAlias = Callable[[str, str], str]
"""Given the name of a style and a text, returns the text coloured."""

_CODES: Final = {"dim": "2", "name": "36", "old": "31", "new": "32", "head": "1"}


def style_for(stream_is_terminal: bool | None = None) -> Style:
    """Return what colours text; it returns it as it is where colours are not wanted.

    Parameters
    ----------
    stream_is_terminal : bool, optional
        Instead of asking standard output.
    """
    wanted = sys.stdout.isatty() if stream_is_terminal is None else stream_is_terminal
    if not wanted or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return lambda style, text: text
    return lambda style, text: f"\033[{_CODES[style]}m{text}\033[0m" if text else text
