"""The `pacs` command."""
