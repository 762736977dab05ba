"""Query/Retrieve SOP classes for pacs-core: C-FIND, C-MOVE and C-GET (PS3.4 Annex C)."""
