"""Structured reports without input or output: their content, as pages and as text (PS3.3 C.17)."""
