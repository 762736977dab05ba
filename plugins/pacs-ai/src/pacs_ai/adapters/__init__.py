"""Adapters: one module for each way of asking a service."""
