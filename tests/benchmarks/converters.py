"""Programs that convert between transfer syntaxes, and what they are called with for each."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from .client import PeerError
from .contestant import Contestant
from .contestants import dcmtk, needs
from .runner import SYNTAXES

QUALITY = "90"
_LOSSY = {"JPEG Baseline"}
_Commands = Mapping[str, Mapping[str, Sequence[str]]]
_ENCODERS: _Commands = {
    "dcmtk": {
        "RLE Lossless": ("dcmcrle",),
        "JPEG Lossless": ("dcmcjpeg", "+e1"),
        "JPEG Baseline": ("dcmcjpeg", "+eb", "+q", QUALITY),
        "JPEG-LS": ("dcmcjpls",),
    },
    "gdcm": {
        "RLE Lossless": ("gdcmconv", "--rle"),
        "JPEG Lossless": ("gdcmconv", "--jpeg"),
        "JPEG Baseline": ("gdcmconv", "--jpeg", "--lossy", "-q", QUALITY),
        "JPEG-LS": ("gdcmconv", "--jpegls"),
        "JPEG 2000 Lossless": ("gdcmconv", "--j2k"),
    },
}
_DECODERS: _Commands = {
    "dcmtk": {
        "RLE Lossless": ("dcmdrle",),
        "JPEG Lossless": ("dcmdjpeg",),
        "JPEG Baseline": ("dcmdjpeg",),
        "JPEG-LS": ("dcmdjpls",),
    },
    "gdcm": dict.fromkeys(_ENCODERS["gdcm"], ("gdcmconv", "--raw")),
}


def no_server(directory: Path, port: int, move_port: int) -> Sequence[str]:
    """Refuse to serve: programs that convert, or work on files, have no port."""
    raise PeerError("it serves nobody")


@frozen
class Converter(Contestant):
    """A program that converts a folder, or file after file of it.

    Attributes
    ----------
    conversions : mapping of str to sequence of str
        "encode" or "decode" with the name of a transfer syntax, to the program and its options.
    """

    conversions: Mapping[str, Sequence[str]] = field(factory=dict, kw_only=True)

    def convert(self, what: str, source: Path, target: Path) -> Sequence[str]:
        """Return the command that converts all files of a folder into another."""
        program, *options = self.conversions[what]
        if self.is_ours:
            return [program, *options[:3], str(source), str(target), *options[3:]]
        each = shlex.join([dcmtk(program), *options, f"{source}/{{}}", f"{target}/{{}}"])
        return [
            "sh",
            "-c",
            f"ls {shlex.quote(str(source))} | xargs -P {os.cpu_count()} -I{{}} {each}",
        ]


def ours(syntax: str) -> Sequence[str]:
    """Return our program, with a transfer syntax as its target."""
    lossy = ("--quality", QUALITY) if syntax in _LOSSY else ()
    return (sys.executable, "-m", "pacs_core.cli", "convert", "-t", syntax, *lossy)


def _conversions(name: str) -> Mapping[str, Sequence[str]]:
    return {
        **{f"encode {syntax}": command for syntax, command in _ENCODERS[name].items()},
        **{f"decode {syntax}": command for syntax, command in _DECODERS[name].items()},
    }


def _ours() -> Mapping[str, Sequence[str]]:
    return {
        **{f"encode {syntax}": ours(syntax) for syntax in SYNTAXES},
        **{f"decode {syntax}": ours("explicit") for syntax in SYNTAXES},
    }


def _converter(
    name: str, conversions: Mapping[str, Sequence[str]], settings: str, program: str = ""
) -> Converter:
    return Converter(
        name,
        durable=False,
        does=frozenset(conversions),
        command=no_server,
        settings=settings,
        missing=needs(program) if program else lambda: "",
        conversions=conversions,
    )


_EACH = f"a run for each file, {os.cpu_count()} at once (xargs -P)"

CONVERTERS = (
    _converter("ours-convert", _ours(), f"pacs convert FOLDER FOLDER, --quality {QUALITY}"),
    _converter("dcmtk-codecs", _conversions("dcmtk"), f"{_EACH}; +q {QUALITY}", "dcmcjpeg"),
    _converter("gdcm-conv", _conversions("gdcm"), f"{_EACH}; -q {QUALITY}", "gdcmconv"),
)
