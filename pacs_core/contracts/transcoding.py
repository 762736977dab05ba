"""Transcoding for those who send instances: which form a peer gets, and that form."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Collection
from enum import Enum
from typing import Final
from uuid import UUID, uuid5

from attrs import field, frozen

from pacs_core.contracts.codec import EncodeOptions
from pacs_core.contracts.frames import Frame
from pacs_core.contracts.peer import Peer
from pacs_core.dataset import short_name_of
from pacs_core.imaging import FrameFormat

NO_IMAGE: Final = FrameFormat(0, 0, 0, 0, 0, is_signed=False, photometric_interpretation="")
"""The image of a dataset without pixels that could be compressed."""

_DERIVED: Final = UUID("d8f2b6a4-3c1e-4f57-9a60-5e7b1c0d2f93")


class TranscodingError(Exception):
    """A dataset cannot be converted; the message says where and why. Nothing may be sent of it."""


class VerificationError(TranscodingError):
    """What was encoded without loss, as it should be, is not what comes back of it."""


class Action(Enum):
    """What becomes of an instance on its way to a peer."""

    PASS_THROUGH = "pass-through"  # noqa: S105 (no password)
    """Every byte as it is stored."""
    TRANSCODE = "transcode"
    REFUSE = "refuse"
    """There is no form that both can handle: a failed sub-operation."""


@frozen
class Plan:
    """In which transfer syntax an instance goes out, and why.

    Attributes
    ----------
    action : Action
    source : str
        Transfer syntax UID in which it is stored.
    target : str
        Transfer syntax UID in which it goes out; empty if it is refused.
    reason : str
        For the log, ``pacs explain`` and error comments.
    decoder, encoder : str
        Names of the codecs that do the work; empty for what needs none.
    options : EncodeOptions
        How lossy it may become.
    new_uid : bool
        It goes out under a SOP Instance UID of its own, see :meth:`sop_instance_uid`.
    recompress : bool
        The encoder takes codestreams as they are stored, and no pixel changes: see
        :meth:`Codec.recompress`.
    verify : bool
        It is proven that nothing was lost, by decoding again what is encoded. Only for what is
        lossless; set it on a plan with `attrs.evolve`.
    """

    action: Action
    source: str
    target: str = ""
    reason: str = ""
    decoder: str = ""
    encoder: str = ""
    options: EncodeOptions = field(factory=EncodeOptions)
    new_uid: bool = False
    recompress: bool = False
    verify: bool = False

    def sop_instance_uid(self, stored: str) -> str:
        """Return the SOP Instance UID under which an instance goes out.

        A new one follows from the stored one, the transfer syntax and the options (PS3.5 B.2), so
        that what is sent twice is the same instance.
        """
        if not self.new_uid:
            return stored
        quality, ratio = self.options.quality, self.options.ratio
        seed = f"{stored} {self.target} {quality} {ratio}"
        return f"2.25.{uuid5(_DERIVED, seed).int}"


class Transcoder(ABC):
    """Chooses between pass-through, conversion and refusal, by the rules of the configuration."""

    @abstractmethod
    def proposals(self, transfer_syntax_uid: str, peer: Peer | None = None) -> tuple[str, ...]:
        """Return the transfer syntaxes worth proposing for an instance, the best first.

        Parameters
        ----------
        transfer_syntax_uid : str
            In which it is stored.
        peer : Peer, optional
            Who is to receive it; None is nobody in particular.
        """

    @abstractmethod
    def plan(
        self,
        transfer_syntax_uid: str,
        accepted: Collection[str],
        peer: Peer | None = None,
        image: FrameFormat | None = None,
    ) -> Plan:
        """Choose the form in which an instance goes out, among those that were negotiated.

        Parameters
        ----------
        transfer_syntax_uid : str
            In which it is stored.
        accepted : collection of str
            Transfer syntax UIDs that the peer accepted for its SOP class.
        peer : Peer, optional
        image : FrameFormat, optional
            What is in it, so that no transfer syntax is chosen which cannot hold that; `NO_IMAGE`
            if it has no pixels that could be compressed, None if that is not known. It matters
            only where the plan without it names an encoder.
        """

    @abstractmethod
    def transcode(
        self, plan: Plan, dataset: AsyncIterable[bytes | memoryview]
    ) -> AsyncIterator[bytes | memoryview]:
        """Iterate over the dataset in the form that was planned, with bounded memory.

        Raises
        ------
        VerificationError
            Before the first chunk of an image: it was to be verified that nothing is lost, and
            that failed.
        TranscodingError
            On iteration, where possible before the first chunk.
        """

    @abstractmethod
    def frames(
        self, frames: AsyncIterable[Frame], accepted: Collection[str], peer: Peer | None = None
    ) -> AsyncIterator[Frame]:
        """Iterate over frames, each in a transfer syntax that is accepted.

        They pass as they are where they can; else they are decoded, encoded, or both, in codec
        processes, several at once and no more than that ahead of what is taken. Closing the
        iterator gives up those that are under way, and closes `frames`.

        Parameters
        ----------
        frames : async iterable of Frame
            Of one instance, as :meth:`Archive.frames` gives them.
        accepted : collection of str
            Transfer syntax UIDs. Any native one stands for native pixels, which come in little
            endian.
        peer : Peer, optional
            Whose preferences decide among several.

        Yields
        ------
        Frame
            In their order; what was decoded has its samples by pixel (Planar Configuration 0), and
            a format that may differ from the instance's in its Photometric Interpretation.

        Raises
        ------
        TranscodingError
            On iteration: a frame cannot be had so, and why.
        """


class PassThrough(Transcoder):
    """Converts nothing: an instance goes out as it is stored, or not at all."""

    def proposals(self, transfer_syntax_uid: str, peer: Peer | None = None) -> tuple[str, ...]:
        """Propose what is stored."""
        return (transfer_syntax_uid,)

    def plan(
        self,
        transfer_syntax_uid: str,
        accepted: Collection[str],
        peer: Peer | None = None,
        image: FrameFormat | None = None,
    ) -> Plan:
        """Pass through what was accepted, and refuse all else."""
        if transfer_syntax_uid in accepted:
            return Plan(Action.PASS_THROUGH, transfer_syntax_uid, transfer_syntax_uid)
        others = " or ".join(map(short_name_of, accepted)) or "none at all"
        reason = (
            f"the peer does not accept it in {short_name_of(transfer_syntax_uid)}, only in "
            f"{others}, and nothing is transcoded"
        )
        return Plan(Action.REFUSE, transfer_syntax_uid, reason=reason)

    async def transcode(
        self, plan: Plan, dataset: AsyncIterable[bytes | memoryview]
    ) -> AsyncIterator[bytes | memoryview]:
        """Hand on the dataset."""
        if plan.action is not Action.PASS_THROUGH:
            raise TranscodingError(plan.reason or "nothing is transcoded")
        async for chunk in dataset:
            yield chunk

    async def frames(
        self, frames: AsyncIterable[Frame], accepted: Collection[str], peer: Peer | None = None
    ) -> AsyncIterator[Frame]:
        """Hand on frames that are accepted."""
        async for frame in frames:
            plan = self.plan(frame.transfer_syntax_uid, accepted, peer)
            if plan.action is not Action.PASS_THROUGH:
                raise TranscodingError(f"frame {frame.number}: {plan.reason}")
            yield frame
