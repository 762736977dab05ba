"""Table of codecs: which decodes and which encodes each transfer syntax, settled once."""

import pickle
from collections.abc import Iterable, Mapping

from attrs import field, frozen

from pacs_core.contracts import CodecDescriptor, Plan, TranscodingError
from pacs_core.dataset import short_name_of
from pacs_core.transcoding.remedies import remedy
from pacs_core.transcoding.workers.protocol import Coders, Proof

# Theory of operation
#
# Several installed codecs may do the same. Which one does it is settled once, when the node starts,
# and for each transfer syntax by itself: the choices of the configuration first, then the order of
# plugins. So what `pacs codecs` prints is what happens, and does not depend on what was converted
# before.
#
# Decoding, encoding and recompressing are separate columns, as one library may read what it cannot
# write. All decoders are kept beside the first (`able`): what proves that a lossless encoder has
# lost nothing should not share its library, and with it its mistakes.


class CodecChoiceError(ValueError):
    """The configuration names codecs that cannot be used.

    Attributes
    ----------
    problems : tuple of str
        All of them.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@frozen
class CodecTable:
    """One decoder and one encoder for each transfer syntax, and what goes without them.

    Attributes
    ----------
    decoders, encoders : mapping of str to CodecDescriptor
        By transfer syntax UID.
    recompressors : mapping of (str, str) to CodecDescriptor
        By transfer syntax UIDs of source and target.
    able : mapping of str to tuple of CodecDescriptor
        All that decode a transfer syntax, by its UID; the one in `decoders` is the first.
    """

    decoders: Mapping[str, CodecDescriptor] = field(factory=dict)
    encoders: Mapping[str, CodecDescriptor] = field(factory=dict)
    recompressors: Mapping[tuple[str, str], CodecDescriptor] = field(factory=dict)
    able: Mapping[str, tuple[CodecDescriptor, ...]] = field(factory=dict)

    def decoder(self, transfer_syntax_uid: str) -> CodecDescriptor | None:
        """Return what decodes a transfer syntax, or None."""
        return self.decoders.get(transfer_syntax_uid)

    def encoder(self, transfer_syntax_uid: str) -> CodecDescriptor | None:
        """Return what encodes a transfer syntax, or None."""
        return self.encoders.get(transfer_syntax_uid)

    def verifiers(self, transfer_syntax_uid: str) -> tuple[CodecDescriptor, ...]:
        """Return what proves that a codestream is right: decoders, in the order to ask them.

        The first is one on another library than the encoder, if there is one; the last is what
        the node itself decodes the transfer syntax with.
        """
        encoder, able = self.encoder(transfer_syntax_uid), self.able.get(transfer_syntax_uid, ())
        # A decoder of another library notices what an encoder and its own decoder agree on wrongly.
        others = [each for each in able if encoder is None or each.library != encoder.library]
        return (*others[:1], *(each for each in able[:1] if each not in others[:1]))

    def recompressor(self, source: str, target: str) -> CodecDescriptor | None:
        """Return what converts codestreams without decoding them, or None."""
        return self.recompressors.get((source, target))

    def recompression_targets(self, source: str) -> tuple[str, ...]:
        """Return the transfer syntaxes to which a transfer syntax is recompressed."""
        return tuple(target for each, target in self.recompressors if each == source)

    def recompression_sources(self, target: str) -> tuple[str, ...]:
        """Return the transfer syntaxes that are recompressed to a transfer syntax."""
        return tuple(source for source, each in self.recompressors if each == target)


def pickle_codecs(plan: Plan, table: CodecTable) -> Coders:
    """Return the codecs of a plan, as workers are sent them.

    Raises
    ------
    TranscodingError
        What is encoded is to be verified, and nothing decodes it.
    """
    decoder = table.decoder(plan.source) if plan.decoder else None
    encoder = table.encoder(plan.target) if plan.encoder else None
    if plan.recompress:  # icons are decoded all the same
        decoder = table.decoder(plan.source)
        encoder = table.recompressor(plan.source, plan.target)
    proof = _proof(plan, table) if plan.verify and encoder else None
    return Coders(pickle_creator(decoder), pickle_creator(encoder), proof)


def _proof(plan: Plan, table: CodecTable) -> Proof:
    verifiers = table.verifiers(plan.target)
    reverser = table.recompressor(plan.target, plan.source) if plan.recompress else None
    if not (verifiers or reverser):
        name = short_name_of(plan.target)
        raise TranscodingError(
            f"no installed codec decodes {name}, so nothing proves that none of it is lost"
            f"{remedy(plan.target)}"
        )
    return Proof(
        tuple((each.name, pickle_creator(each)) for each in verifiers), pickle_creator(reverser)
    )


def pickle_creator(descriptor: CodecDescriptor | None) -> bytes:
    """Return what a `Job` has of a codec; nothing if there is none."""
    return pickle.dumps(descriptor.create) if descriptor is not None else b""


def codec_table(
    descriptors: Iterable[CodecDescriptor], choices: Mapping[str, str] | None = None
) -> CodecTable:
    """Settle which codec does what.

    Parameters
    ----------
    descriptors : iterable of CodecDescriptor
        The preferred ones first: the first that knows a transfer syntax is taken.
    choices : mapping of str to str
        Names of the codecs to take instead, by transfer syntax UID; each for whatever it knows of
        decoding, encoding and recompressing to it.

    Raises
    ------
    CodecChoiceError
        There is no codec of that name, or it does not know the transfer syntax.
    """
    known = list(descriptors)
    chosen, problems = _resolve_choices(known, choices or {})
    if problems:
        raise CodecChoiceError(problems)
    decoders: dict[str, list[CodecDescriptor]] = {}
    encoders: dict[str, CodecDescriptor] = {}
    recompressors: dict[tuple[str, str], CodecDescriptor] = {}
    for uid, descriptor in [*chosen, *((u, d) for d in known for u in d.transfer_syntaxes)]:
        if uid in descriptor.decodes:
            decoders.setdefault(uid, []).append(descriptor)
        if uid in descriptor.encodes:
            encoders.setdefault(uid, descriptor)
        for pair in sorted(descriptor.recompresses):
            if pair[1] == uid:
                recompressors.setdefault(pair, descriptor)
    return CodecTable(
        {uid: able[0] for uid, able in decoders.items()},
        encoders,
        recompressors,
        {uid: tuple(able) for uid, able in decoders.items()},
    )


def _resolve_choices(
    known: list[CodecDescriptor], choices: Mapping[str, str]
) -> tuple[list[tuple[str, CodecDescriptor]], list[str]]:
    by_name = {descriptor.name: descriptor for descriptor in known}
    chosen, problems = [], []
    for uid, name in choices.items():
        descriptor = by_name.get(name)
        if descriptor is not None and uid in descriptor.transfer_syntaxes:
            chosen.append((uid, descriptor))
            continue
        able = ", ".join(d.name for d in known if uid in d.transfer_syntaxes) or "none"
        what = "no installed codec has this name" if descriptor is None else "it cannot do that"
        problems.append(
            f"codecs: {name!r} for {short_name_of(uid)}: {what}; installed ones that can: {able}"
        )
    return chosen, problems
