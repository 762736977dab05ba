"""Pass through, transcode or refuse: the one set of rules (docs/explanation/transcoding.md)."""

# Theory of operation
#
# The planner reads no dataset and runs no codec. It knows what codecs there are (CodecTable), what
# a peer may get (TransferPolicy) and what it has accepted, and returns a Plan. C-STORE of files,
# C-MOVE, C-GET and `pacs explain` all ask it, so what is explained is what is done.
#
# All forms that an instance could be given are put in an order: what the peer prefers, the form in
# which it is stored, recompressions (which lose nothing and decode nothing), and what nearly
# everybody takes. The first is taken that
#
#   1. the peer's configuration allows,
#   2. can be made: by a codec for each side, or by none (_impossible),
#   3. loses nothing, unless a loss was asked for by naming that form as preferred (_obstacle),
#   4. the peer has accepted, and
#   5. can hold the image (_misfit).
#
# 1 to 3 hold before an association exists, so the same order gives what to propose. 5 needs the
# image, for which somebody must read the beginning of the object. So a plan is made without it
# first, where `image` is None and 5 cannot fail, and again with the image only if that plan has an
# encoder: what goes out as stored, or native, is never looked at.
#
# What has lost something before is sorted once more, by whether it would lose again: a preference
# for a lossy form does not outweigh a form that leaves the instance as it is.
#
# A refusal names a reason for each form that the peer has accepted, since that is what an
# administrator can change: install a codec, or allow more.

from collections.abc import Collection, Iterator

from attrs import evolve, field, frozen

from pacs_core.contracts import (
    NO_IMAGE,
    Action,
    EncodeOptions,
    FrameFormat,
    Peer,
    Plan,
    TransferPolicy,
)
from pacs_core.dataset import (
    ALL_TRANSFER_SYNTAXES,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    encoding_of,
    short_name_of,
)
from pacs_core.imaging import is_lossless, is_video, misfit
from pacs_core.transcoding.remedies import remedy
from pacs_core.transcoding.table import CodecTable

_USUAL = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
"""What nearly every peer takes, and therefore is proposed."""

_LAST = (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    *(syntax.uid for syntax in ALL_TRANSFER_SYNTAXES if is_lossless(syntax.uid)),
)
"""What is sent if nothing else was negotiated."""

_ALL = (*_USUAL, *_LAST)
_REMEMBERED = 256
_NO_OPTIONS = EncodeOptions()


@frozen
class Planner:
    """Chooses the form in which an instance goes out.

    Attributes
    ----------
    table : CodecTable
    default : TransferPolicy
        For peers without preferences of their own.
    verify : bool
        Whether it is proven of what is sent that nothing was lost, where nothing should be.
    """

    table: CodecTable = field(factory=CodecTable)
    default: TransferPolicy = field(factory=TransferPolicy)
    verify: bool = False
    _found: dict[tuple[str, TransferPolicy, tuple[str, ...]], tuple[str, ...]] = field(
        factory=dict, init=False, eq=False, repr=False
    )

    def proposals(self, transfer_syntax_uid: str, peer: Peer | None = None) -> tuple[str, ...]:
        """Return what is worth proposing for an instance, see :meth:`Transcoder.proposals`."""
        policy = self._policy(peer)
        return self._possible(transfer_syntax_uid, policy, _USUAL)

    def plan(
        self,
        transfer_syntax_uid: str,
        accepted: Collection[str],
        peer: Peer | None = None,
        image: FrameFormat | None = None,
    ) -> Plan:
        """Choose a form, see :meth:`Transcoder.plan`."""
        source, policy = transfer_syntax_uid, self._policy(peer)
        possible = self._possible(source, policy, _ALL)
        candidates = [uid for uid in possible if uid in accepted]
        fits = (uid for uid in candidates if not self._misfit(source, uid, image))
        # What has no pixels may be labelled as compressed, where nothing else is accepted.
        last = candidates[0] if candidates and image == NO_IMAGE else None
        target = next(fits, last)
        if target is None:
            reason = self._refusal(source, accepted, policy, image)
            return Plan(Action.REFUSE, source, reason=reason)
        reason = _reason(source, target, accepted)
        if target != candidates[0]:
            reason = f"{self._misfit(source, candidates[0], image)}; {reason}"
        if target == source:
            return Plan(Action.PASS_THROUGH, source, target, reason)
        if image == NO_IMAGE:
            plan = self._plan_conversion(source, target, reason, _NO_OPTIONS, new_uid=False)
        else:
            plan = self._plan_conversion(source, target, reason, policy.options, policy.new_uid)
        return self._plan_verification(plan) if self.verify else plan

    def conversion(
        self,
        source: str,
        target: str,
        options: EncodeOptions = _NO_OPTIONS,
        *,
        new_uid: bool = False,
        verify: bool = False,
    ) -> Plan:
        """Plan a conversion that was asked for, whatever peers prefer.

        Parameters
        ----------
        source, target : str
            Transfer syntax UIDs.
        options : EncodeOptions
            How lossy, if the target is.
        new_uid : bool
            Whether what is compressed lossily gets a SOP Instance UID of its own.
        verify : bool
            Whether it is proven that nothing was lost, if nothing should be.
        """
        if source == target:
            reason = f"it is in {short_name_of(target)}"
            return Plan(Action.PASS_THROUGH, source, target, reason)
        if obstacle := self._impossible(source, target):
            return Plan(Action.REFUSE, source, reason=obstacle)
        plan = self._plan_conversion(source, target, "it was asked for", options, new_uid)
        return self._plan_verification(plan) if verify else plan

    def _policy(self, peer: Peer | None) -> TransferPolicy:
        if peer is None:
            return self.default
        preferred = peer.transfer.preferred or self.default.preferred
        return evolve(peer.transfer, preferred=preferred)

    def _possible(
        self, source: str, policy: TransferPolicy, others: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Return the forms that an instance can be given, the best first.

        Neither codecs nor policies change, so it is found out once for all instances.
        """
        key = source, policy, others
        if (found := self._found.get(key)) is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            wanted = (*others[: len(_USUAL)], *policy.accepted, *others[len(_USUAL) :])
            found = self._found[key] = tuple(self._find_possible(source, policy, wanted))
        return found

    def _find_possible(
        self, source: str, policy: TransferPolicy, others: Collection[str]
    ) -> Iterator[str]:
        ranked = [*policy.preferred, source, *self.table.recompression_targets(source), *others]
        if not is_lossless(source):
            # What has lost something already is not compressed lossily again if it can be helped.
            ranked.sort(key=lambda target: self._loses(source, target))
        for target in dict.fromkeys(ranked):
            if policy.accepted and target not in policy.accepted:
                continue
            if target == source or not self._obstacle(source, target, policy):
                yield target

    def _obstacle(self, source: str, target: str, policy: TransferPolicy) -> str:
        """Return why a form cannot be had; nothing if it can."""
        if obstacle := self._impossible(source, target):
            return obstacle
        if self._loses(source, target) and not (policy.lossy and target in policy.preferred):
            return f"{short_name_of(target)} is lossy, which this peer's configuration excludes"
        return ""

    def _misfit(self, source: str, target: str, image: FrameFormat | None) -> str:
        """Return why a form cannot hold an image; nothing if it can, or that is not known."""
        if image is None or target == source or not encoding_of(target).encapsulated:
            return ""
        if image == NO_IMAGE:
            return "it has no pixels to compress"
        if self.table.recompressor(source, target):
            return ""
        if obstacle := misfit(image, target):
            return obstacle
        encoder = self.table.encoder(target)
        if encoder and not encoder.bits[0] <= image.bits_stored <= encoder.bits[1]:
            fewest, most = encoder.bits
            return f"{encoder.name} encodes {fewest} to {most} bits, not {image.bits_stored}"
        return ""

    def _loses(self, source: str, target: str) -> bool:
        """Return whether a conversion may lose something."""
        same = source == target or self.table.recompressor(source, target)
        return not (same or is_lossless(target))

    def _impossible(self, source: str, target: str) -> str:
        """Return why nobody can have a form; nothing if it can be made."""
        if is_video(source) or is_video(target):
            return "video is never converted"
        if self.table.recompressor(source, target):
            return ""
        if encoding_of(source).encapsulated and not self.table.decoder(source):
            return f"no installed codec decodes {short_name_of(source)}{remedy(source)}"
        if encoding_of(target).encapsulated and not self.table.encoder(target):
            if origins := self.table.recompression_sources(target):
                names = " or ".join(map(short_name_of, origins))
                return f"{short_name_of(target)} can only be made from {names}"
            return f"no installed codec encodes {short_name_of(target)}{remedy(target)}"
        return ""

    def _plan_conversion(
        self, source: str, target: str, reason: str, options: EncodeOptions, new_uid: bool
    ) -> Plan:
        codec = self.table.recompressor(source, target)
        if codec is None:
            return self._plan_codecs(source, target, reason, options, new_uid)
        reason += "; it is recompressed, without loss"
        return Plan(Action.TRANSCODE, source, target, reason, encoder=codec.name, recompress=True)

    def _plan_codecs(
        self, source: str, target: str, reason: str, options: EncodeOptions, new_uid: bool
    ) -> Plan:
        decoder = self.table.decoder(source) if encoding_of(source).encapsulated else None
        encoder = self.table.encoder(target) if encoding_of(target).encapsulated else None
        lossy = not is_lossless(target)
        return Plan(
            Action.TRANSCODE,
            source,
            target,
            reason,
            decoder.name if decoder else "",
            encoder.name if encoder else "",
            options if lossy else EncodeOptions(),
            lossy and new_uid,
        )

    def _plan_verification(self, plan: Plan) -> Plan:
        return evolve(plan, verify=not self._loses(plan.source, plan.target))

    def _refusal(
        self,
        source: str,
        accepted: Collection[str],
        policy: TransferPolicy,
        image: FrameFormat | None,
    ) -> str:
        if not accepted:
            return "the peer accepts no transfer syntax for its SOP class"
        reasons = dict.fromkeys(
            "the peer's configuration excludes it"
            if policy.accepted and uid not in policy.accepted
            else self._obstacle(source, uid, policy) or self._misfit(source, uid, image)
            for uid in accepted
            if uid != source or policy.accepted
        )
        names = " or ".join(short_name_of(uid) for uid in accepted)
        return f"stored in {short_name_of(source)}, negotiated {names}: {'; '.join(reasons)}"


def _reason(source: str, target: str, accepted: Collection[str]) -> str:
    if target == source:
        return "the peer accepts it as it is stored"
    why = "prefers" if source in accepted else f"does not accept {short_name_of(source)}, but"
    return f"the peer {why} {short_name_of(target)}"
