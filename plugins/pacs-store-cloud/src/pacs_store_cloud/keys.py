"""Keys of objects, and their names in the bucket."""

import re
from hashlib import sha256
from typing import Final

from attrs import frozen

from pacs_core.contracts import InstanceIdentity
from pacs_core.dimse import is_valid_uid

# Theory of operation
#
# The key of an object is what a store of files makes by default, STUDY/SERIES/INSTANCE.dcm, so that
# objects move between the two by their keys alone. Its name in the bucket begins with the prefix
# and some digits hashed from study and series: services split a bucket by the beginnings of names,
# and UIDs of one manufacturer all begin alike. As all instances of a series lie side by side, the
# variants of one are found by listing from its name on.
#
# A name that is not that of its own key is not ours, and is not listed. Keys from outside become
# names only after the pattern was matched.

MAX_VARIANT_LENGTH: Final = 64
INCOMING: Final = "incoming"
"""Below the prefix: large objects on their way; no key begins so, because no UID does."""
_VARIANT = re.compile(rf"[A-Za-z0-9]{{0,{MAX_VARIANT_LENGTH}}}")
_KEY = re.compile(
    r"(?P<directory>(?P<study>[0-9.]{1,64})/(?P<series>[0-9.]{1,64}))"
    rf"/(?P<instance>[0-9.]{{1,64}})(?:-[A-Za-z0-9]{{1,{MAX_VARIANT_LENGTH}}})?\.dcm",
    re.ASCII,
)


def make_key(identity: InstanceIdentity, variant: str = "") -> str:
    """Return the key of an object.

    Raises
    ------
    ValueError
        A UID is not valid, or `variant` has other characters than ASCII letters and digits, or
        more than 64.
    """
    if _VARIANT.fullmatch(variant) is None:
        raise ValueError(
            f"variant {variant!r}: only letters and digits, up to {MAX_VARIANT_LENGTH}"
        )
    uids = (
        identity.study_instance_uid,
        identity.series_instance_uid,
        identity.sop_instance_uid,
    )
    for uid in uids:
        if not is_valid_uid(uid):
            raise ValueError(f"not a valid UID (PS3.5 §9.1): {uid[:80]!r}")
    return "/".join(uids) + (f"-{variant}.dcm" if variant else ".dcm")


def could_make(key: str) -> bool:
    """Tell whether some identity and variant have this key."""
    match = _KEY.fullmatch(key)
    return match is not None and all(
        map(is_valid_uid, (match["study"], match["series"], match["instance"]))
    )


@frozen
class Names:
    """Names of objects in a bucket.

    Attributes
    ----------
    prefix : str
        Without a slash at its end.
    spread : int
        Digits of the hash; 0 to 8.
    """

    prefix: str = ""
    spread: int = 0

    def name(self, key: str) -> str:
        """Return the name of an object; `key` is one that :func:`make_key` could have made."""
        return self.below(self._hashed(key.rpartition("/")[0]) + key.rpartition("/")[2])

    def below(self, name: str) -> str:
        """Return a name below the prefix."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def key(self, name: str) -> str | None:
        """Return the key of what has a name; None if it is no object of this store."""
        start = len(self.prefix) + 1 if self.prefix else 0
        key = name[start + self.spread + 1 :] if self.spread else name[start:]
        return key if could_make(key) and self.name(key) == name else None

    def beginning_of_variants(self, key: str) -> tuple[str, str]:
        """Return the directory of an object and its variants, and how their names begin."""
        match = _KEY.fullmatch(key)
        if match is None:
            raise ValueError(f"{key[:200]!r} is no key of this store")
        directory = self.below(self._hashed(match["directory"]))
        return directory.rstrip("/"), directory + match["instance"]

    def _hashed(self, directory: str) -> str:
        if not self.spread:
            return f"{directory}/"
        return f"{sha256(directory.encode()).hexdigest()[: self.spread]}/{directory}/"
