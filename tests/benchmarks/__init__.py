"""Measures this archive beside others; see docs/explanation/performance.md."""
