"""Object store of pacs-core on a local file system: atomic, fsynced, one Part 10 file per instance."""
