"""Transfer syntaxes that the configuration prefers, for negotiation."""

from pacs_core.association import Preferences
from pacs_core.config import Config
from pacs_core.dataset import transfer_syntax_uids


def preferences_of(config: Config) -> Preferences:
    """Return which transfer syntaxes a node chooses of those that are proposed to it."""
    peers = {
        peer.ae_title: transfer_syntax_uids(peer.receives)
        for peer in config.peers.values()
        if peer.ae_title is not None
    }
    return Preferences(transfer_syntax_uids(config.network.receives), peers)
