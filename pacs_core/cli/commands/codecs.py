"""``pacs codecs``."""

from attrs import frozen

from pacs_core.cli.assembling import load_assembly
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.options import ConfigOption, JsonOption, LogLevelOption
from pacs_core.cli.output import dump_json, print_table
from pacs_core.contracts import CodecDescriptor
from pacs_core.dataset import ALL_TRANSFER_SYNTAXES, encoding_of, short_name_of
from pacs_core.imaging import is_video
from pacs_core.transcoding import CodecTable, distributions_for

_HEADER = ("TRANSFER SYNTAX", "CODEC", "DECODE", "ENCODE", "BITS", "LIBRARY", "VERSION", "LICENCE")


@frozen
class _CodecRow:
    """What one codec does for one transfer syntax."""

    syntax: str
    codec: CodecDescriptor
    table: CodecTable

    def facts(self) -> dict[str, object]:
        codec = self.codec
        return {
            "codec": codec.name,
            "decodes": self.syntax in codec.decodes,
            "decoder": self.table.decoder(self.syntax) is codec,
            "encodes": self.syntax in codec.encodes,
            "encoder": self.table.encoder(self.syntax) is codec,
            "recompresses": self.origins,
            "bits": list(codec.bits),
            "library": codec.library,
            "version": codec.version,
            "licence": codec.licence,
        }

    @property
    def origins(self) -> list[str]:
        """What the codec makes this transfer syntax of, without decoding it."""
        return sorted(source for source, uid in self.codec.recompresses if uid == self.syntax)

    def cells(self) -> list[str]:
        facts, (fewest, most) = self.facts(), self.codec.bits
        encodes = _use(facts["encodes"], facts["encoder"])
        if self.origins and not facts["encodes"]:
            encodes = f"from {' or '.join(map(short_name_of, self.origins))}"
        return [
            short_name_of(self.syntax),
            self.codec.name,
            _use(facts["decodes"], facts["decoder"]),
            encodes,
            f"{fewest}-{most}" if most > fewest else str(most),
            self.codec.library,
            self.codec.version,
            self.codec.licence,
        ]


_Rows = dict[str, list[_CodecRow]]
_Missing = dict[str, tuple[str, ...]]


def codecs(
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """List the compressed transfer syntaxes, and which codec decodes and encodes each.

    "yes" is the codec that is used, "spare" one that could be: see transcoding.codecs in the
    configuration. "from" is one that recompresses what is in that transfer syntax, without
    decoding it, and encodes nothing else. Native transfer syntaxes need no codec; video is only
    handed on as it is.

    Parameters
    ----------
    as_json
        Print a JSON array with an object for each transfer syntax.
    """
    configure_logging(log_level or "warning")
    assembly = load_assembly(config)
    table = assembly.codecs()
    entries = assembly.registry.entries(CodecDescriptor)
    installed = [codec for _, codec in entries]
    there = {record.distribution for record, _ in entries}
    rows = {
        uid: [_CodecRow(uid, codec, table) for codec in installed if uid in codec.transfer_syntaxes]
        for uid in _syntaxes(installed)
    }
    missing = {uid: _list_missing(uid, able, there) for uid, able in rows.items()}
    (_print_json if as_json else _print_table)(rows, missing)
    return 0


def _syntaxes(installed: list[CodecDescriptor]) -> list[str]:
    """Return those that somebody has a codec for, those of the standard in its order."""
    handled = {uid for codec in installed for uid in codec.transfer_syntaxes}
    known = [
        syntax.uid
        for syntax in ALL_TRANSFER_SYNTAXES
        if encoding_of(syntax.uid).encapsulated
        and not is_video(syntax.uid)
        and (syntax.uid in handled or distributions_for(syntax.uid))
    ]
    return [*known, *sorted(handled - {*known})]


def _print_json(rows: _Rows, missing: _Missing) -> None:
    listed = [
        {
            "transfer_syntax": uid,
            "name": short_name_of(uid),
            "codecs": [row.facts() for row in able],
            "install": list(missing[uid]),
        }
        for uid, able in rows.items()
    ]
    print(dump_json(listed, indent=2))


def _print_table(rows: _Rows, missing: _Missing) -> None:
    cells = [row.cells() for able in rows.values() for row in able]
    for uid, able in rows.items():
        if not able:
            cells.append([short_name_of(uid), "none", "no", "no", "", "", "", ""])
    print_table(_HEADER, cells)
    for uid, names in missing.items():
        if names:
            print(f"{short_name_of(uid)}: pip install {' or '.join(names)}")


def _list_missing(uid: str, able: list[_CodecRow], there: set[str]) -> tuple[str, ...]:
    """Return what to install for a transfer syntax that cannot be decoded, or not be encoded."""
    decodes = any(uid in row.codec.decodes for row in able)
    encodes = any(uid in row.codec.encodes or row.origins for row in able)
    if decodes and encodes:
        return ()
    return tuple(name for name in distributions_for(uid) if name not in there)


def _use(able: object, used: object) -> str:
    return "yes" if used else "spare" if able else "no"
