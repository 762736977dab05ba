"""The error of a configuration that cannot be used."""


class ConfigError(Exception):
    """The configuration cannot be used.

    Attributes
    ----------
    problems : tuple of str
        All of them, each with its path in the file.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)
