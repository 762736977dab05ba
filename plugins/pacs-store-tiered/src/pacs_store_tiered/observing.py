"""Observer of a tiered store, which knows neither studies nor the audit trail itself."""


class StoreObserver:
    """Told of what a store does; this one takes no note of it."""

    def note_use(self, key: str) -> None:
        """Note that an object was opened or recalled; quick."""

    def note_recall(self, key: str, source: str, size: int) -> None:
        """Note that an object was copied to the top because somebody wants to read it; quick.

        Parameters
        ----------
        key : str
        source : str
            The tier that it came from.
        size : int
            Bytes.
        """
