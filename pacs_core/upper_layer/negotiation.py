"""Negotiation of two application entities (PS3.8 §7.1.1.13, PS3.7 §D.3): pure functions."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from attrs import frozen

from pacs_core.upper_layer.associate import AssociateAC, AssociateRQ
from pacs_core.upper_layer.items import (
    AsynchronousOperations,
    ContextResult,
    ContextResultCode,
    ProposedContext,
    RoleSelection,
)

# Theory of operation
#
# Negotiation is a function of two PDUs, so both sides can compute what they agreed on, and nothing
# of it is kept in between. The acceptor's side makes an answer (`negotiate_contexts`); either side
# reads request and answer together (`accepted_contexts`).
#
# A presentation context is answered for itself: the acceptor takes one transfer syntax of those
# that it proposes. Which one is a choice of three: what this node prefers to get, else the
# proposer's order, else (if configured) its own. Roles are negotiated for a SOP class and not for a
# context (PS3.7 §D.3.3.4), so every context of a class gets the same answer. A context on which
# nobody could send a request is rejected, rather than accepted and useless.
#
# Answers are checked against what was asked. A peer that "accepts" an identifier, a transfer syntax
# or a role which was never proposed has not gained it: that entry is left out, and the association
# goes on without.

TransferSyntaxes: TypeAlias = tuple[str, ...] | Callable[[str], bool]


def any_transfer_syntax(_uid: str) -> bool:
    """Support whatever is proposed."""
    return True


ANY: Final = any_transfer_syntax


@frozen
class SupportedSopClass:
    """How the acceptor supports an abstract syntax.

    Attributes
    ----------
    transfer_syntaxes : tuple of str, or callable
        UIDs in our order of preference, or a predicate on a UID such as `ANY`.
    preferred : tuple of str
        UIDs that are chosen before all others, the best first, whatever the proposer's order.
    scu_role, scp_role : bool
        Whether the *requestor* may act as SCU, as SCP: what the role selection item of the
        response says (PS3.7 §D.3.3.4).
    """

    transfer_syntaxes: TransferSyntaxes
    scu_role: bool = True
    scp_role: bool = False
    preferred: tuple[str, ...] = ()


@frozen
class AcceptedContext:
    """A presentation context in use; `scu` and `scp` are what the *requestor* may act as."""

    id: int
    abstract_syntax: str
    transfer_syntax: str
    scu: bool
    scp: bool


Supported: TypeAlias = Mapping[str, SupportedSopClass] | Callable[[str], SupportedSopClass | None]


def negotiate_contexts(
    proposed: Iterable[ProposedContext],
    supported: Supported,
    roles: Iterable[RoleSelection] = (),
    *,
    prefer_acceptor: bool = False,
) -> tuple[tuple[ContextResult, ...], tuple[RoleSelection, ...]]:
    """Answer each proposed presentation context and role selection.

    Parameters
    ----------
    proposed : iterable of ProposedContext
    supported : mapping or callable
        Gives the SupportedSopClass of an abstract syntax; None or absent if not supported.
    roles : iterable of RoleSelection
        As proposed by the requestor.
    prefer_acceptor : bool
        Choose the transfer syntax in our order of preference rather than in the proposer's. The
        proposer's first is likely what it has the objects in, so that is the default.

    Returns
    -------
    results : tuple of ContextResult
        In the order of `proposed`.
    roles : tuple of RoleSelection
        Answers to the role selections of the SOP classes that were accepted.
    """
    find = supported.get if isinstance(supported, Mapping) else supported
    asked = {role.sop_class_uid: role for role in roles}
    results: list[ContextResult] = []
    answers: dict[str, RoleSelection] = {}
    for context in proposed:
        uid = context.abstract_syntax
        sop_class = find(uid)
        answer = _answer_role(uid, sop_class, asked.get(uid))
        result = _answer_context(context, sop_class, answer, prefer_acceptor)
        results.append(result)
        if result.result == ContextResultCode.ACCEPTANCE and uid in asked:
            answers[uid] = answer
    return tuple(results), tuple(answers.values())


def _answer_role(
    uid: str, sop_class: SupportedSopClass | None, asked: RoleSelection | None
) -> RoleSelection:
    scu, scp = (asked.scu, asked.scp) if asked else (True, False)
    if sop_class is None:
        return RoleSelection(uid, scu=False, scp=False)
    return RoleSelection(uid, scu=scu and sop_class.scu_role, scp=scp and sop_class.scp_role)


def _answer_context(
    context: ProposedContext,
    sop_class: SupportedSopClass | None,
    role: RoleSelection,
    prefer_acceptor: bool,
) -> ContextResult:
    if sop_class is None:
        return ContextResult(context.id, ContextResultCode.ABSTRACT_SYNTAX_NOT_SUPPORTED)
    if not (role.scu or role.scp):
        # Nobody could send a request on such a context.
        return ContextResult(context.id, ContextResultCode.USER_REJECTION)
    proposed, ours = context.transfer_syntaxes, sop_class.transfer_syntaxes
    preferred = tuple(uid for uid in sop_class.preferred if uid in proposed)
    chosen = _choose(preferred, ours, False) or _choose(proposed, ours, prefer_acceptor)
    if chosen is None:
        return ContextResult(context.id, ContextResultCode.TRANSFER_SYNTAXES_NOT_SUPPORTED)
    return ContextResult(context.id, ContextResultCode.ACCEPTANCE, chosen)


def _choose(proposed: tuple[str, ...], ours: TransferSyntaxes, prefer_acceptor: bool) -> str | None:
    if callable(ours):
        return next(filter(ours, proposed), None)
    first, second = (ours, proposed) if prefer_acceptor else (proposed, ours)
    return next((uid for uid in first if uid in second), None)


def accepted_contexts(request: AssociateRQ, response: AssociateAC) -> dict[int, AcceptedContext]:
    """Return the presentation contexts that both sides agreed on, by identifier.

    Either role computes the same from the same two PDUs. Answers to what was not proposed are
    left out: an identifier, a transfer syntax or a role that the request does not have.
    """
    proposed = {context.id: context for context in request.presentation_contexts}
    asked = {role.sop_class_uid: role for role in request.user_information.roles}
    answered = {role.sop_class_uid: role for role in response.user_information.roles}
    accepted: dict[int, AcceptedContext] = {}
    for answer in response.presentation_contexts:
        context = proposed.get(answer.id)
        syntax = answer.transfer_syntax
        if (
            context is None
            or syntax not in context.transfer_syntaxes
            or answer.result != ContextResultCode.ACCEPTANCE
        ):
            continue
        uid = context.abstract_syntax
        scu, scp = _agreed_roles(asked.get(uid), answered.get(uid))
        accepted[answer.id] = AcceptedContext(answer.id, uid, syntax, scu, scp)
    return accepted


def _agreed_roles(asked: RoleSelection | None, answered: RoleSelection | None) -> tuple[bool, bool]:
    """Without both items the requestor is the SCU (PS3.7 §D.3.3.4)."""
    if asked is None or answered is None:
        return True, False
    return asked.scu and answered.scu, asked.scp and answered.scp


def negotiate_asynchronous_operations(
    proposed: AsynchronousOperations | None, allowed: AsynchronousOperations
) -> AsynchronousOperations | None:
    """Answer the asynchronous operations window (PS3.7 §D.3.3.3).

    Both are from the requestor's point of view: what it may invoke, what it may perform; 0 is
    unlimited. The answer never raises what was proposed, and is None, to be left out of the
    response, if nothing was.
    """
    if proposed is None:
        return None
    return AsynchronousOperations(
        _smaller(proposed.max_invoked, allowed.max_invoked),
        _smaller(proposed.max_performed, allowed.max_performed),
    )


def agreed_asynchronous_operations(
    request: AssociateRQ, response: AssociateAC
) -> AsynchronousOperations:
    """Return the window in force, from the requestor's point of view: 1 and 1 by default."""
    proposed = request.user_information.asynchronous_operations
    answered = response.user_information.asynchronous_operations
    if proposed is None or answered is None:
        return AsynchronousOperations()
    return negotiate_asynchronous_operations(proposed, answered) or AsynchronousOperations()


def _smaller(first: int, second: int) -> int:
    """Return the smaller of two maxima where 0 is unlimited."""
    return min(first, second) if first and second else first or second
