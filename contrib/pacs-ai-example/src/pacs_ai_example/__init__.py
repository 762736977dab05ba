"""A small service that infers from CT images, to try the AI connector of pacs-core with."""
