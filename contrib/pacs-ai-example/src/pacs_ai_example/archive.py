"""The archive that results go to, by C-STORE."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.presentation import build_context


class ArchiveAwayError(Exception):
    """The archive cannot be reached, or does not answer."""


@dataclass(frozen=True)
class Archive:
    """An application entity that takes results.

    Attributes
    ----------
    ae_title : str
    host : str
    port : int
    calling : str
        Our own AE title.
    """

    ae_title: str
    host: str
    port: int
    calling: str

    @classmethod
    def read(cls, text: str, calling: str) -> "Archive":
        """Return the archive of ``AE@HOST:PORT``. ValueError."""
        title, _, address = text.partition("@")
        host, _, port = address.rpartition(":")
        if not (title and host and port.isdecimal()):
            raise ValueError(f"{text!r} is no AE@HOST:PORT")
        return cls(title, host, int(port), calling)

    def store(self, files: Sequence[bytes]) -> None:
        """Store results, and print what the archive says of each.

        Raises
        ------
        ArchiveAwayError
            It has not answered for each of them.
        """
        results = [dcmread(BytesIO(each)) for each in files]
        contexts = [
            build_context(uid, ExplicitVRLittleEndian) for uid in {e.SOPClassUID for e in results}
        ]
        association = AE(self.calling).associate(
            self.host, self.port, contexts, ae_title=self.ae_title
        )
        if not association.is_established:
            raise ArchiveAwayError(f"{self.ae_title} takes no association")
        for each in results:
            status = association.send_c_store(each)
            if "Status" not in status:
                raise ArchiveAwayError(f"{self.ae_title} does not answer")
            print(f"{each.SOPInstanceUID} {status.Status:04X}", flush=True)
        association.release()
