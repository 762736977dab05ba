"""TLS contexts from files, the profiles of PS3.15, certificates, and what went wrong in words."""

from pacs_core.tls.certificates import certificate_of, describe_connection
from pacs_core.tls.errors import explain
from pacs_core.tls.files import (
    EXPIRY_WARNING,
    CertificateUse,
    FileTlsContexts,
    certificate_uses,
    make_context,
)
from pacs_core.tls.profiles import SUITES

__all__ = [
    "EXPIRY_WARNING",
    "SUITES",
    "CertificateUse",
    "FileTlsContexts",
    "certificate_of",
    "certificate_uses",
    "describe_connection",
    "explain",
    "make_context",
]
