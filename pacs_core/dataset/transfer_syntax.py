"""Transfer syntaxes and how they encode a dataset (PS3.5 §10 and Annex A, PS3.6 Annex A)."""

from attrs import frozen

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"


@frozen
class Encoding:
    """How the elements of a dataset are laid out.

    Attributes
    ----------
    explicit : bool
        Each element carries its value representation (PS3.5 §7.1.2).
    little_endian : bool
        Byte order of tags, lengths and binary numbers (PS3.5 §7.3).
    deflated : bool
        The whole dataset is a raw deflate stream (PS3.5 A.5).
    encapsulated : bool
        Pixel Data is a sequence of fragments (PS3.5 A.4).
    """

    explicit: bool = True
    little_endian: bool = True
    deflated: bool = False
    encapsulated: bool = True


_NATIVE = {
    IMPLICIT_VR_LITTLE_ENDIAN: Encoding(explicit=False, encapsulated=False),
    EXPLICIT_VR_LITTLE_ENDIAN: Encoding(encapsulated=False),
    EXPLICIT_VR_BIG_ENDIAN: Encoding(little_endian=False, encapsulated=False),
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Encoding(deflated=True, encapsulated=False),
}
_ENCAPSULATED = Encoding()


@frozen
class TransferSyntax:
    """A transfer syntax of the standard.

    Attributes
    ----------
    uid : str
        Its UID.
    name : str
        Its name, as in PS3.6 Table A-1.
    retired : bool
        Whether the standard has retired it.
    """

    uid: str
    name: str
    retired: bool = False

    @property
    def encoding(self) -> Encoding:
        """How it lays out the elements of a dataset."""
        return encoding_of(self.uid)


def encoding_of(uid: str) -> Encoding:
    """Return how a transfer syntax encodes a dataset.

    All but four are explicit VR little endian with encapsulated Pixel Data (PS3.5 A.4); a private
    transfer syntax is taken to be so too.
    """
    return _NATIVE.get(uid, _ENCAPSULATED)


_ROOT = "1.2.840.10008.1.2"
_TABLE = (
    ("", "Implicit VR Little Endian"),
    (".1", "Explicit VR Little Endian"),
    (".1.98", "Encapsulated Uncompressed Explicit VR Little Endian"),
    (".1.99", "Deflated Explicit VR Little Endian"),
    (".4.50", "JPEG Baseline (Process 1)"),
    (".4.51", "JPEG Extended (Process 2 & 4)"),
    (".4.57", "JPEG Lossless, Non-Hierarchical (Process 14)"),
    (
        ".4.70",
        "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])",
    ),
    (".4.80", "JPEG-LS Lossless Image Compression"),
    (".4.81", "JPEG-LS Lossy (Near-Lossless) Image Compression"),
    (".4.90", "JPEG 2000 Image Compression (Lossless Only)"),
    (".4.91", "JPEG 2000 Image Compression"),
    (".4.92", "JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)"),
    (".4.93", "JPEG 2000 Part 2 Multi-component Image Compression"),
    (".4.94", "JPIP Referenced"),
    (".4.95", "JPIP Referenced Deflate"),
    (".4.100", "MPEG2 Main Profile / Main Level"),
    (".4.100.1", "Fragmentable MPEG2 Main Profile / Main Level"),
    (".4.101", "MPEG2 Main Profile / High Level"),
    (".4.101.1", "Fragmentable MPEG2 Main Profile / High Level"),
    (".4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1"),
    (".4.102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1"),
    (".4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"),
    (".4.103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"),
    (".4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"),
    (".4.104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"),
    (".4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"),
    (".4.105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"),
    (".4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"),
    (".4.106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"),
    (".4.107", "HEVC/H.265 Main Profile / Level 5.1"),
    (".4.108", "HEVC/H.265 Main 10 Profile / Level 5.1"),
    (".4.110", "JPEG XL Lossless"),
    (".4.111", "JPEG XL JPEG Recompression"),
    (".4.112", "JPEG XL"),
    (".4.201", "High-Throughput JPEG 2000 Image Compression (Lossless Only)"),
    (
        ".4.202",
        "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)",
    ),
    (".4.203", "High-Throughput JPEG 2000 Image Compression"),
    (".4.204", "JPIP HTJ2K Referenced"),
    (".4.205", "JPIP HTJ2K Referenced Deflate"),
    (".5", "RLE Lossless"),
    (".8.1", "Deflated Image Frame Compression"),
)

_RETIRED_JPEG = (
    (".4.52", "JPEG Extended (Process 3 and 5)"),
    (".4.53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)"),
    (".4.54", "JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)"),
    (".4.55", "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)"),
    (".4.56", "JPEG Full Progression, Non-Hierarchical (Process 11 and 13)"),
    (".4.58", "JPEG Lossless, Non-Hierarchical (Process 15)"),
    (".4.59", "JPEG Extended, Hierarchical (Process 16 and 18)"),
    (".4.60", "JPEG Extended, Hierarchical (Process 17 and 19)"),
    (".4.61", "JPEG Spectral Selection, Hierarchical (Process 20 and 22)"),
    (".4.62", "JPEG Spectral Selection, Hierarchical (Process 21 and 23)"),
    (".4.63", "JPEG Full Progression, Hierarchical (Process 24 and 26)"),
    (".4.64", "JPEG Full Progression, Hierarchical (Process 25 and 27)"),
    (".4.65", "JPEG Lossless, Hierarchical (Process 28)"),
    (".4.66", "JPEG Lossless, Hierarchical (Process 29)"),
)

ALL_TRANSFER_SYNTAXES = (
    *(TransferSyntax(_ROOT + suffix, name) for suffix, name in _TABLE),
    TransferSyntax(EXPLICIT_VR_BIG_ENDIAN, "Explicit VR Big Endian", retired=True),
    *(TransferSyntax(_ROOT + suffix, name, retired=True) for suffix, name in _RETIRED_JPEG),
)
"""The transfer syntaxes of PS3.6 Table A-1, without SMPTE ST 2110 and those retired before use."""

_NAMES = {syntax.uid: syntax.name for syntax in ALL_TRANSFER_SYNTAXES}


def name_of(uid: str) -> str:
    """Return the name of a transfer syntax; its UID if the standard does not know it."""
    return _NAMES.get(uid, uid)
