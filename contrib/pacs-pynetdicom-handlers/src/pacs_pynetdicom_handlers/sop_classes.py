"""The SOP classes that the handlers answer for."""

from typing import Final

from pacs_core.contracts import SopClassSupport
from pynetdicom import evt, sop_class
from pynetdicom.presentation import (
    AllStoragePresentationContexts,
    PresentationContext,
    VerificationPresentationContexts,
)

from pacs_pynetdicom_handlers.config import HandlersConfig
from pacs_pynetdicom_handlers.loading import LoadedHandlers

_NATIVE: Final = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99")

_QUERY_RETRIEVE: Final = {
    evt.EVT_C_FIND: (
        "1.2.840.10008.5.1.4.1.2.1.1",
        "1.2.840.10008.5.1.4.1.2.2.1",
        "1.2.840.10008.5.1.4.31",  # Modality Worklist
    ),
    evt.EVT_C_MOVE: ("1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.2.2"),
    evt.EVT_C_GET: ("1.2.840.10008.5.1.4.1.2.1.3", "1.2.840.10008.5.1.4.1.2.2.3"),
}


def supported_sop_classes(
    config: HandlersConfig, loaded: LoadedHandlers
) -> dict[str, SopClassSupport]:
    """Return the SOP classes to serve.

    Those of the config; else the supported contexts of the module's AE; else those that the bound
    events are usually for.

    Raises
    ------
    ValueError
        A name is none of a SOP class, or N-services are bound and nothing says for what.
    """
    if config.sop_classes:
        uids = map(_uid_of, config.sop_classes)
        return _with_roles({uid: SopClassSupport(_NATIVE) for uid in uids}, loaded)
    if loaded.ae is not None and loaded.ae.supported_contexts:
        return {
            str(context.abstract_syntax): _support_of(context)
            for context in loaded.ae.supported_contexts
        }
    return _usual(loaded)


def _uid_of(name: str) -> str:
    uid = getattr(sop_class, name, name)
    if not str(uid)[:1].isdigit():
        raise ValueError(f"sop_classes: {name!r} is neither a UID nor a name of pynetdicom's")
    return str(uid)


def _support_of(context: PresentationContext) -> SopClassSupport:
    # pynetdicom's roles are what the requestor is allowed; without any it is SCU (PS3.7 D.3.3.4).
    is_usual = context.scu_role is None and context.scp_role is None
    return SopClassSupport(
        tuple(map(str, context.transfer_syntax or ())),
        scp=is_usual or bool(context.scu_role),
        scu=bool(context.scp_role),
    )


def _usual(loaded: LoadedHandlers) -> dict[str, SopClassSupport]:
    bound = loaded.handlers
    if not bound.keys() <= {evt.EVT_C_ECHO, evt.EVT_C_STORE, *_QUERY_RETRIEVE}:
        raise ValueError(
            "handlers of N-services are bound: say with sop_classes for which SOP classes, or give "
            "the module an AE with supported contexts"
        )
    uids = [uid for event, uids in _QUERY_RETRIEVE.items() if event in bound for uid in uids]
    if evt.EVT_C_ECHO in bound:
        uids += [str(each.abstract_syntax) for each in VerificationPresentationContexts]
    supported = {uid: SopClassSupport(_NATIVE) for uid in uids}
    if bound.keys() & {evt.EVT_C_STORE, evt.EVT_C_GET}:
        storage = [str(each.abstract_syntax) for each in AllStoragePresentationContexts]
        supported |= {uid: SopClassSupport(_NATIVE) for uid in storage}
    return _with_roles(supported, loaded)


def _with_roles(
    supported: dict[str, SopClassSupport], loaded: LoadedHandlers
) -> dict[str, SopClassSupport]:
    """Let storage be for what is bound: SCP of C-STORE, SCU of the C-STORE of a C-GET."""
    storage = {str(each.abstract_syntax) for each in AllStoragePresentationContexts}
    is_scp, is_scu = evt.EVT_C_STORE in loaded.handlers, evt.EVT_C_GET in loaded.handlers
    return {
        uid: SopClassSupport(
            support.transfer_syntaxes,
            scp=is_scp or uid not in storage,
            scu=is_scu and uid in storage,
        )
        for uid, support in supported.items()
    }
