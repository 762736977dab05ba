"""Secrets in configuration: named in the file, kept outside it."""

import os
from pathlib import Path

from attrs import frozen


@frozen
class Secret:
    """A value that a config file only points to: ``{ env = "NAME" }`` or ``{ file = "PATH" }``.

    Its value appears neither in ``repr`` nor in ``pacs config show``.
    """

    env: str = ""
    file: str = ""

    def reveal(self) -> str:
        """Return the value.

        Raises
        ------
        LookupError
            The variable or the file does not exist.
        """
        if self.env:
            try:
                return os.environ[self.env]
            except KeyError:
                raise LookupError(f"the environment variable {self.env} is not set") from None
        try:
            return Path(self.file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise LookupError(f"the secret's file {self.file!r} cannot be read: {error}") from error
