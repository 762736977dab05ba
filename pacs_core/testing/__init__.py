"""Contract suites and pytest fixtures for plugin authors."""
