"""The table of the plugin."""

from collections.abc import Mapping

from attrs import field, frozen


@frozen
class Config:
    """Who issues patient IDs.

    Attributes
    ----------
    issuers : mapping of str to str
        By AE title: Issuer of Patient ID (0010,0021) of what it sends.
    strict : bool
        Whether nothing is taken from others, unless it names an issuer.
    """

    issuers: Mapping[str, str] = field(factory=dict)
    strict: bool = False
