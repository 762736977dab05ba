"""`pacs` is run in this process: what it does to logging is undone."""

import logging

import pytest


@pytest.fixture(scope="module", autouse=True)
def logging_as_before():
    """Restore handlers and level of the root logger."""
    root = logging.getLogger()
    level, handlers, raising = root.level, root.handlers[:], logging.raiseExceptions
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    logging.raiseExceptions = raising
