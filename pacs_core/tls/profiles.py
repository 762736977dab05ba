"""The cipher suites of the Secure Transport Connection Profiles (PS3.15 B.12, B.13).

The strongest come first, and the server's order counts (RFC 9325 §4.2). Suites of TLS 1.3 are
OpenSSL's: AES-256-GCM, ChaCha20-Poly1305 and AES-128-GCM. Python cannot choose others: AES-128-CCM
and AES-128-CCM-8 of TLS 1.3, which B.13 wants as well, are there if OpenSSL's own configuration
(``Ciphersuites`` of ``OPENSSL_CONF``) names them. Suites of TLS 1.2 that the OpenSSL at hand lacks,
as most lack Camellia, are left out; B.13 makes Camellia optional (CP-2311).
"""

from typing import Final

from pacs_core.contracts import TlsProfile

_STRENGTH: Final = "@SECLEVEL=2"
"""RSA of 2048 bits and more, ECC of 224 and more, no SHA-1 in certificates (PS3.15 B.13)."""

_RECOMMENDED: Final = (  # RFC 9325 §4.2
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)

_MODIFIED: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-CAMELLIA256-GCM-SHA384",
    "ECDHE-RSA-CAMELLIA256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-CCM",
    "ECDHE-ECDSA-AES256-CCM8",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CAMELLIA128-GCM-SHA256",
    "ECDHE-RSA-CAMELLIA128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-CCM",
    "ECDHE-ECDSA-AES128-CCM8",
)

SUITES: Final = {TlsProfile.BCP195: _RECOMMENDED, TlsProfile.BCP195_MODIFIED: _MODIFIED}


def cipher_string(profile: TlsProfile, custom: str) -> str:
    """Return the cipher suites of a profile for OpenSSL, or those that are given."""
    suites = custom if profile is TlsProfile.CUSTOM else ":".join(SUITES[profile])
    return suites if "@SECLEVEL" in suites else f"{suites}:{_STRENGTH}"
