"""The table ``[plugin.sop-storage]``."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import Attribute, field, frozen
from attrs.validators import optional

from pacs_core.api.images import is_lossless
from pacs_core.dataset import (
    ALL_TRANSFER_SYNTAXES,
    encoding_of,
    transfer_syntax_uid,
    transfer_syntax_uids,
)
from pacs_core.dimse import is_valid_uid
from pacs_sop_storage.sop_classes import GROUPS, SOP_CLASSES

_STANDARD_SYNTAXES = tuple(syntax.uid for syntax in ALL_TRANSFER_SYNTAXES)


def _groups(instance: object, attribute: "Attribute[Any]", value: Iterable[str]) -> None:
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


def _orders(
    instance: object, attribute: "Attribute[Any]", value: Mapping[str, Sequence[str]]
) -> None:
    for names in value.values():
        transfer_syntax_uids(names)


def _is_lossless(instance: object, attribute: "Attribute[Any]", value: str) -> None:
    uid = transfer_syntax_uid(value)
    if not encoding_of(uid).encapsulated or not is_lossless(uid):
        raise ValueError(f"{attribute.name}: {value!r} does not compress, or not without loss")


_GROUP_OF = {row.uid: row.group for row in SOP_CLASSES}


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
    receives : mapping of str to tuple of str
        By group: transfer syntaxes to choose, the best first, of those that are proposed.
    compress : str or None
        Lossless transfer syntax to which uncompressed images are converted before they are
        stored; an image that cannot be converted is stored as it came.
    """

    enabled: tuple[str, ...] = field(default=(), validator=_groups)
    disabled: tuple[str, ...] = field(default=(), validator=_groups)
    retired: bool = True
    private: tuple[str, ...] = field(default=(), validator=_uids)
    transfer_syntaxes: tuple[str, ...] = field(
        default=_STANDARD_SYNTAXES, validator=[_not_empty, _uids]
    )
    receives: Mapping[str, tuple[str, ...]] = field(factory=dict, validator=[_groups, _orders])
    compress: str | None = field(default=None, validator=optional(_is_lossless))

    @property
    def compress_uid(self) -> str | None:
        """UID of the transfer syntax to which images are compressed."""
        return transfer_syntax_uid(self.compress) if self.compress else None

    def preferred(self, sop_class_uid: str) -> tuple[str, ...]:
        """Return the UIDs of transfer syntaxes to choose for a SOP class, the best first."""
        return transfer_syntax_uids(self.receives.get(_GROUP_OF.get(sop_class_uid, ""), ()))

    def sop_class_uids(self) -> Iterator[str]:
        """Iterate over the UIDs of the SOP classes to offer."""
        offered = (set(self.enabled) or GROUPS) - set(self.disabled)
        for row in SOP_CLASSES:
            if row.group in offered and (self.retired or not row.retired):
                yield row.uid
        yield from self.private
