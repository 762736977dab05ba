"""A codec worker process: takes jobs from a socket, one after the other, until it is closed."""

import fcntl
import math
import os
import pickle
import resource
import select
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from pacs_core.contracts.transcoding import VerificationError
from pacs_core.imaging import CodecError
from pacs_core.sandbox import confine
from pacs_core.transcoding.frame_work import Codecs, convert
from pacs_core.transcoding.workers.protocol import (
    REQUEST,
    Buffer,
    FileJob,
    JobStatus,
    Request,
    pack_frame,
    pack_status,
)
from pacs_core.transcoding.workers.whole_file import convert_file

# Theory of operation
#
# A worker reads a job, does it, answers, and waits for the next: no threads, no event loop. It
# assumes that any frame may be the one that kills it or takes it over. So it has limits of its own
# (address space, processor time for each job, no core dump), no secrets in its environment, neither
# network nor files but code to import (`pacs_core.sandbox`), and its answers are checked by the
# node. Who converts whole files, which only commands do, may open files.
#
# It must never outlive the node. Two ways tell it that the node is gone: its socket is closed,
# which it sees between jobs, and standard input ends, which the operating system reports by SIGIO,
# whose default is to kill, even within a codec that hangs. Signals that a terminal sends to the
# whole group are ignored, since the node needs its workers while it drains.

# A signal to the node's process group is for the node, which still needs its workers to drain.
_IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BY_DEFAULT: Final = (signal.SIGIO, signal.SIGXCPU)


def main(
    descriptor: int, cpu_time: float, memory: int, confined: bool = True, files: bool = False
) -> None:
    """Work until the node closes the socket, or dies.

    Parameters
    ----------
    descriptor : int
        Of the socket. Standard input is a pipe whose closing means the same.
    cpu_time : float
        Seconds of processor time for each job.
    memory : int
        Bytes of address space.
    confined : bool
        Whether to do without network and files.
    files : bool
        Whether there are whole files to convert: then files stay.
    """
    _arrange_signals()
    with suppress(OSError, ValueError):  # a system without such a limit, or with a lower one
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if confined:
        if not files:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        confine(files=not files)
    with socket.socket(fileno=descriptor) as channel:
        codecs = Codecs()
        while (head := _receive(channel, REQUEST.size)) is not None:
            job_length, frame_length = REQUEST.unpack(head)
            job = pickle.loads(_receive(channel, job_length) or b"")  # noqa: S301 from the node
            frame = _receive(channel, frame_length) or b""
            # The limit counts from the start of the process, so it is moved for each job; SIGXCPU
            # ends the process once it is reached.
            usage = resource.getrusage(resource.RUSAGE_SELF)
            soft = math.ceil(usage.ru_utime + usage.ru_stime + cpu_time)
            hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
            if hard != resource.RLIM_INFINITY:
                soft = min(soft, hard)
            resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
            _send(channel, answer(job, frame, codecs))


def _arrange_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    for number in _BY_DEFAULT:
        signal.signal(number, signal.SIG_DFL)
    # The death of the node ends a worker even while a codec hangs in it: standard input then
    # comes to its end, and the operating system says so with SIGIO, which kills.
    stdin = sys.stdin.fileno()
    fcntl.fcntl(stdin, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(stdin, fcntl.F_SETFL, fcntl.fcntl(stdin, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([stdin], [], [], 0)[0]:  # it had died before
        sys.exit()


def _receive(channel: socket.socket, length: int) -> bytes | None:
    """Return exactly so many bytes, or None at the end."""
    data = channel.recv(length, socket.MSG_WAITALL) if length else b""
    while len(data) < length:  # interrupted, or the end
        more = channel.recv(length - len(data), socket.MSG_WAITALL)
        if not more:
            return None
        data += more
    return data


def _send(channel: socket.socket, parts: Sequence[Buffer]) -> None:
    for part in parts:
        channel.sendall(part)


def answer(job: Request, frame: bytes, codecs: Codecs) -> list[Buffer]:
    """Do a job, and return what to say of it."""
    try:
        if isinstance(job, FileJob):
            return pack_status(convert_file(job, partial(convert, codecs=codecs)))
        return pack_frame(*convert(job, frame, codecs))
    except VerificationError as error:
        return pack_status(JobStatus.NOT_LOSSLESS, str(error))
    except CodecError as error:
        return pack_status(JobStatus.REFUSED, str(error))
    except MemoryError:
        return pack_status(JobStatus.MEMORY)
    except Exception as error:
        return pack_status(JobStatus.REFUSED, f"the codec failed: {type(error).__name__}: {error}")
