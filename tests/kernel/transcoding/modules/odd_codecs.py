"""Codecs that do what no codec should, and one that copies."""

import os
import signal
import time

from attrs import evolve

from pacs_core.contracts import Codec, CodecError, DecodedFrame, EncodedFrame


class Copy(Codec):
    def decode(self, codestream, frame):
        return DecodedFrame(codestream[: frame.size], frame)

    def encode(self, data, frame, options):
        return EncodedFrame(data, frame)


class Odd(Copy):
    """Does something odd to frames that begin with the word for it, and copies all others."""

    def decode(self, codestream, frame):
        what = codestream[:16].rstrip(b"\0").decode()
        return getattr(self, f"do_{what}", super().decode)(codestream, frame)

    def do_pid(self, codestream, frame):
        return DecodedFrame(os.getpid().to_bytes(4, "big").ljust(frame.size, b"\0"), frame)

    def do_environment(self, codestream, frame):
        return DecodedFrame(repr(dict(os.environ)).encode().ljust(frame.size, b"\0"), frame)

    def do_refuse(self, codestream, frame):
        raise CodecError("marker FFD9 at 17, expected FFDA")

    def do_raise(self, codestream, frame):
        raise ZeroDivisionError("oops")

    def do_crash(self, codestream, frame):
        os.kill(os.getpid(), signal.SIGSEGV)

    def do_killed(self, codestream, frame):
        """Be killed by somebody, as by the system when memory is short."""
        os.kill(os.getpid(), signal.SIGKILL)

    def do_once(self, codestream, frame):
        """Be killed, and not if it has happened before: a file beside the frame says so."""
        path = codestream[16:].rstrip(b"\0").decode()
        if not os.path.exists(path):
            open(path, "x").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return DecodedFrame(codestream[: frame.size], frame)

    def do_close(self, codestream, frame):
        os.closerange(3, 64)
        time.sleep(1000)

    def do_exit(self, codestream, frame):
        os._exit(3)

    def do_hang(self, codestream, frame):
        time.sleep(1000)

    def do_spin(self, codestream, frame):
        while True:
            pass

    def do_eat(self, codestream, frame):
        eaten = bytearray(16 * 1024**3)
        return DecodedFrame(bytes(eaten), frame)

    def do_lie(self, codestream, frame):
        return DecodedFrame(b"\0" * 2 * frame.size, evolve(frame, rows=2 * frame.rows))

    def do_short(self, codestream, frame):
        return DecodedFrame(b"\0", frame)

    def do_babble(self, codestream, frame):
        """Write into whatever is open, as a codestream that has taken over the process might."""
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, b"\xff" * 100)
            except OSError:
                continue
        os._exit(0)
