"""Instances divided into what one association has presentation contexts for (PS3.8 §7.1.1.13).

An association is proposed each transfer syntax in a context of its own, so that none can crowd out
another, for all that a portion of the instances needs. It serves for later portions as well, unless
they need contexts that were not proposed; then another association takes its place.
"""

from collections.abc import AsyncIterable, Collection, Iterable, Iterator, Sequence
from typing import Final

from attrs import frozen

from pacs_core.concurrency import Relay, closing
from pacs_core.contracts import (
    MAX_CONTEXTS,
    Form,
    Instances,
    Peer,
    Proposal,
    StoredInstance,
    Transcoder,
)
from pacs_core.sending.forms import form_of

# Theory of operation
#
# Two limits shape this. An association has 128 presentation contexts, and what a peer accepts is
# known only when it was asked; so as few associations as possible are to propose as much as is
# needed. And instances may be a million, so they are looked at in portions: the next is planned
# while one is sent.
#
# In a portion those instances go first that need no more than what the association has. For the
# rest forms are put together, in a fixed order, until contexts run out. Into what is left of an
# association's contexts go forms that later portions may have (`expected`), which saves another
# one.

PORTION: Final = 512
"""Instances that are looked at before the first of them is sent."""

Portion = list[StoredInstance]


async def read_portions(instances: Instances, relay: Relay[Portion]) -> None:
    """Hand on instances in portions, one portion ahead of whoever takes them."""
    portion: Portion = []
    if isinstance(instances, AsyncIterable):
        async with closing(instances) as iterator:
            async for instance in iterator:
                portion.append(instance)
                if len(portion) == PORTION:
                    await relay.give(portion)
                    portion = []
    else:
        for instance in instances:
            portion.append(instance)
            if len(portion) == PORTION:
                await relay.give(portion)
                portion = []
    if portion:
        await relay.give(portion)
    relay.close()


@frozen
class Batch:
    """Instances that go out on one association.

    Attributes
    ----------
    instances : sequence of StoredInstance
    contexts : frozenset of Form
        What the association must have been proposed; empty if nothing can be sent at all.
    """

    instances: Sequence[StoredInstance]
    contexts: frozenset[Form]


class ContextPlan:
    """Decides what is proposed to a peer.

    Parameters
    ----------
    transcoder : Transcoder
    peer : Peer
    expected : collection of Form
        In which later instances may be stored.
    """

    def __init__(self, transcoder: Transcoder, peer: Peer, expected: Collection[Form]) -> None:
        self._transcoder = transcoder
        self._peer = peer
        self._expected = sorted(expected)
        self._known: dict[Form, frozenset[Form]] = {}

    def contexts_of(self, form: Form) -> frozenset[Form]:
        """Return what is worth proposing for instances that are stored in a form."""
        contexts = self._known.get(form)
        if contexts is None:
            sop_class_uid, stored = form
            # More than an association holds could never be proposed; the best are first.
            syntaxes = self._transcoder.proposals(stored, self._peer)[:MAX_CONTEXTS]
            contexts = frozenset((sop_class_uid, syntax) for syntax in syntaxes)
            self._known[form] = contexts
        return contexts

    def divide(self, portion: Portion, proposed: frozenset[Form]) -> Iterator[Batch]:
        """Divide instances, those first that need no more than what is proposed already."""
        by_form: dict[Form, Portion] = {}
        for instance in portion:
            by_form.setdefault(form_of(instance), []).append(instance)
        fitting = {form for form in by_form if self.contexts_of(form) <= proposed}
        if fitting:
            yield Batch(_of(portion, fitting), proposed)
        together: set[Form] = set()
        contexts: frozenset[Form] = frozenset()
        for form in sorted(by_form.keys() - fitting):
            more = contexts | self.contexts_of(form)
            if together and len(more) > MAX_CONTEXTS:
                yield Batch(_of(portion, together), contexts)
                together, more = set(), self.contexts_of(form)
            together.add(form)
            contexts = more
        if together:
            yield Batch(_of(portion, together), contexts)

    def proposals(self, contexts: frozenset[Form]) -> list[Proposal]:
        """Return what to propose: these contexts, and others that are expected if there is room."""
        wanted = contexts
        for form in self._expected:
            more = wanted | self.contexts_of(form)
            if len(more) <= MAX_CONTEXTS:
                wanted = more
        return [Proposal(sop_class, (syntax,)) for sop_class, syntax in sorted(wanted)]


def _of(portion: Iterable[StoredInstance], forms: set[Form]) -> list[StoredInstance]:
    return [instance for instance in portion if form_of(instance) in forms]
