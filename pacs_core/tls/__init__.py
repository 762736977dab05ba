"""TLS contexts from files, the profiles of PS3.15, certificates, and what went wrong in words."""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.tls.certificates import (
        certificate_of as certificate_of,
        describe_connection as describe_connection,
    )
    from pacs_core.tls.errors import explain as explain
    from pacs_core.tls.files import (
        EXPIRY_WARNING as EXPIRY_WARNING,
        CertificateUse as CertificateUse,
        FileTlsContexts as FileTlsContexts,
        certificate_uses as certificate_uses,
        make_context as make_context,
    )
    from pacs_core.tls.profiles import SUITES as SUITES

import_on_demand(
    __name__,
    """
.certificates certificate_of describe_connection
.errors explain
.files EXPIRY_WARNING CertificateUse FileTlsContexts certificate_uses make_context
.profiles SUITES
""",
)
