"""The commands of ``pacs``, one module each."""
