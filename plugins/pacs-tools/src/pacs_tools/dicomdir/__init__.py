"""``pacs dicomdir``: file-sets for exchange on media (PS3.10 §8, PS3.3 Annex F)."""
