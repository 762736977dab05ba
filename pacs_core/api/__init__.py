"""Tools for plugins beyond contracts: one module for each purpose, imported by who needs it.

What is in their ``__all__`` is public, see ``docs/explanation/api-stability.md``; the packages that
it comes from are the kernel's own.
"""
