"""Layers between the connection and the routes, each a plain ASGI application."""
