"""Storage SOP classes of every modality for pacs-core: answers C-STORE (PS3.4 Annex B)."""
