"""``pacs split``: frames of multi-frame images as single-frame images."""
