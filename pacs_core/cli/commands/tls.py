"""``pacs tls``."""

from datetime import UTC, datetime

from pacs_core.app.examination import examine
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.options import LOCAL, LocalOptions
from pacs_core.cli.output import say
from pacs_core.config import load_config, tls_tables
from pacs_core.tls import CertificateUse, certificate_uses

_NEEDS_ATTENTION = 1


def check(*, options: LocalOptions = LOCAL) -> int:
    """Show the certificates that the configuration names, and for how long they are valid.

    The exit code is 1 if one cannot be used, has expired, or expires within 30 days.
    """
    configure_logging(options.log_level or "warning")
    assembly, _ = examine(load_config(options.config))
    tables = tls_tables(assembly.config, assembly.plugin_configs)
    if not tables:
        say(
            "no table of the configuration names certificates: [network.tls], [peers.NAME.tls], "
            "[plugin.web.tls]"
        )
        return 0
    now = datetime.now(UTC)
    troubled = False
    for use in certificate_uses(tables):
        trouble = use.trouble(now)
        troubled |= bool(trouble)
        say(f"{'PROBLEM' if trouble else 'ok':8}{use.where}: {_describe(use)}")
        say(f"{'':8}{use.remaining(now)}")
    return _NEEDS_ATTENTION if troubled else 0


def _describe(use: CertificateUse) -> str:
    if use.certificate is None:
        return "cannot be used"
    found = use.certificate
    names = f" for {', '.join(found.names)}" if found.names else ""
    return f"{found.subject}{names}, issued by {found.issuer}"
