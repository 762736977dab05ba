"""Processes that tests start."""

import signal


def restore_sigint() -> None:
    """Let a process that is about to begin be interrupted; for ``preexec_fn`` of ``Popen``.

    A shell lets jobs in the background ignore SIGINT, and what they start inherits that (POSIX,
    XCU 2.11): a process could not be interrupted if the suite runs so.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
