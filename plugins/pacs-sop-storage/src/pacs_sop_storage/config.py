"""The table ``[plugin.sop-storage]``."""

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import Attribute, field, frozen

from pacs_core.dataset import ALL_TRANSFER_SYNTAXES
from pacs_core.dimse import is_valid_uid
from pacs_sop_storage.sop_classes import GROUPS, SOP_CLASSES

_STANDARD_SYNTAXES = tuple(syntax.uid for syntax in ALL_TRANSFER_SYNTAXES)


def _groups(instance: object, attribute: "Attribute[Any]", value: Sequence[str]) -> None:
    if unknown := sorted(set(value) - GROUPS):
        raise ValueError(
            f"{attribute.name}: no group is called {', '.join(unknown)}; "
            f"the groups are {', '.join(sorted(GROUPS))}"
        )


def _uids(instance: object, attribute: "Attribute[Any]", value: Sequence[str]) -> None:
    if invalid := [uid for uid in value if not is_valid_uid(uid)]:
        raise ValueError(f"{attribute.name}: {invalid[0]!r} is not a UID (PS3.5 §9.1)")


def _not_empty(instance: object, attribute: "Attribute[Any]", value: Sequence[str]) -> None:
    if not value:
        raise ValueError(f"{attribute.name}: name at least one transfer syntax")


@frozen
class StorageConfig:
    """Which objects the node takes, and in which encodings.

    Attributes
    ----------
    enabled : tuple of str
        Groups to offer; empty for all.
    disabled : tuple of str
        Groups not to offer.
    retired : bool
        Whether retired SOP classes are offered.
    private : tuple of str
        UIDs of further SOP classes to offer, such as a vendor's own (PS3.4 B.4.1.3).
    transfer_syntaxes : tuple of str
        UIDs of accepted transfer syntaxes; default all of the standard's.
    """

    enabled: tuple[str, ...] = field(default=(), validator=_groups)
    disabled: tuple[str, ...] = field(default=(), validator=_groups)
    retired: bool = True
    private: tuple[str, ...] = field(default=(), validator=_uids)
    transfer_syntaxes: tuple[str, ...] = field(
        default=_STANDARD_SYNTAXES, validator=[_not_empty, _uids]
    )

    def sop_class_uids(self) -> Iterator[str]:
        """Iterate over the UIDs of the SOP classes to offer."""
        offered = (set(self.enabled) or GROUPS) - set(self.disabled)
        for row in SOP_CLASSES:
            if row.group in offered and (self.retired or not row.retired):
                yield row.uid
        yield from self.private
