"""A plugin with a codec that does what frames tell it to: what libraries do to hostile ones."""

import os
import signal
import time

from pacs_core.contracts import Codec, CodecDescriptor, DecodedFrame
from pacs_core.plugins import hookimpl


class Obedient(Codec):
    """Obeys frames that begin with a word, and returns all others as they are."""

    def decode(self, codestream, frame):
        word = bytes(codestream[:16]).rstrip(b"\0").decode("ascii", "replace")
        getattr(self, f"do_{word}", lambda: None)()
        return DecodedFrame(bytes(codestream[: frame.size]), frame)

    def encode(self, data, frame, options):
        raise NotImplementedError

    def do_crash(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def do_hang(self):
        time.sleep(1000)

    def do_spin(self):
        while True:
            pass

    def do_eat(self):
        bytearray(1 << 40)


@hookimpl
def pacs_codecs():
    uncompressed = frozenset({"1.2.840.10008.1.2.1.98"})
    return [CodecDescriptor("obedient", uncompressed, frozenset(), Obedient)]
