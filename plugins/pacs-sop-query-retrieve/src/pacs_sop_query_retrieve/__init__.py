"""Query/Retrieve SOP classes for pacs-core: C-FIND, C-MOVE and C-GET (PS3.4 Annex C)."""

from pacs_sop_query_retrieve.config import QueryRetrieveConfig
from pacs_sop_query_retrieve.plugin import pacs_config, pacs_service_providers

__all__ = ["QueryRetrieveConfig", "pacs_config", "pacs_service_providers"]
