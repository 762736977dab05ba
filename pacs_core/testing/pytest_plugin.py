"""Fixtures that pytest finds in every environment where pacs-core is installed."""
