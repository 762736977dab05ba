"""Weaknesses of a configuration of the server, for ``pacs doctor security``."""

import ipaddress
from collections.abc import Iterator

from pacs_core.contracts import SecurityFinding, Severity, is_loopback
from pacs_web.config import WebConfig


def find_weaknesses(config: WebConfig, *, signs_in: bool) -> Iterator[SecurityFinding]:
    """Iterate over what is weak.

    Parameters
    ----------
    config : WebConfig
    signs_in : bool
        Whether a plugin tells who asks.
    """
    reachable = not is_loopback(config.host)
    behind_proxy = bool(config.trusted_proxies)
    if reachable and config.tls is None:
        # A proxy may be what encrypts; what is between it and the node is not.
        severity = Severity.MEDIUM if behind_proxy else Severity.HIGH
        what = f"what goes over {config.host} is not encrypted"
        yield SecurityFinding(severity, what, "set [plugin.web.tls]")
    if not signs_in:
        yield SecurityFinding(
            Severity.HIGH if reachable or behind_proxy else Severity.LOW,
            "whoever reaches the pages and DICOMweb need not sign in",
            "install what lets people and machines sign in, such as pacs-auth-local",
        )
    networks = [ipaddress.ip_network(each, strict=False) for each in config.trusted_proxies]
    if any(network.prefixlen == 0 for network in networks):
        what = "anybody is believed to be a proxy, and so to come from any address"
        yield SecurityFinding(Severity.HIGH, what, "name the proxies in trusted_proxies")
    if "*" in config.allowed_hosts:
        what = "the server answers to any name, so pages of others can reach it by theirs"
        yield SecurityFinding(Severity.MEDIUM, what, "name its names in allowed_hosts")
    if "*" in config.cors_origins:
        what = "pages of any origin may read answers"
        severity = Severity.MEDIUM if signs_in else Severity.HIGH
        yield SecurityFinding(severity, what, "name the origins in cors_origins")
    if config.access_log == "full":
        what = "the log names patients, as queries do"
        yield SecurityFinding(Severity.LOW, what, 'set access_log = "path"')
