"""Distributions to install for a transfer syntax that nothing here can handle."""

from typing import Final

_BASIC: Final = "pacs-codec-basic"
_ALL: Final = "pacs-codec-imagecodecs"
_ROOT: Final = "1.2.840.10008.1.2"

_DISTRIBUTIONS: Final = {
    _ROOT + suffix: distributions
    for suffixes, distributions in (
        ((".1.98", ".5", ".8.1"), (_BASIC,)),
        ((".4.80", ".4.81", ".4.90", ".4.91"), (_BASIC, _ALL)),
        ((".4.50", ".4.51", ".4.53", ".4.55", ".4.57", ".4.70"), (_ALL,)),
        ((".4.201", ".4.202", ".4.203"), (_ALL,)),
        ((".4.110", ".4.111", ".4.112"), (_ALL,)),
    )
    for suffix in suffixes
}


def distributions_for(transfer_syntax_uid: str) -> tuple[str, ...]:
    """Return the distributions of which any one brings a codec; none if nothing is known to."""
    return _DISTRIBUTIONS.get(transfer_syntax_uid, ())


def remedy(transfer_syntax_uid: str) -> str:
    """Return what to install, to be appended to what is wrong; nothing if nothing would help."""
    distributions = distributions_for(transfer_syntax_uid)
    return f" (install {' or '.join(distributions)})" if distributions else ""
