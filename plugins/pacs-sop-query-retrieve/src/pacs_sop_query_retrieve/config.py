"""The table ``[plugin.sop-query-retrieve]``."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from attrs import Attribute, field, frozen
from attrs.validators import ge, optional

from pacs_core.contracts import RELOADABLE
from pacs_sop_query_retrieve.models import MODELS

_MODEL_NAMES = tuple(model.name for model in MODELS)


class Relational(Enum):
    """Whether unique keys of upper levels may be left out though nobody has negotiated that."""

    AUTO = "auto"
    STRICT = "strict"
    ALWAYS = "always"


def _models(instance: object, attribute: "Attribute[Any]", value: Sequence[str]) -> None:
    if unknown := [name for name in value if name not in _MODEL_NAMES]:
        raise ValueError(
            f"models: {unknown[0]!r} is no information model; there are {', '.join(_MODEL_NAMES)}"
        )


@frozen
class QueryRetrieveConfig:
    """What can be queried and retrieved, and how much.

    Attributes
    ----------
    models : tuple of str
        Information models to offer.
    relational : Relational
        What becomes of queries and retrievals that leave out unique keys of upper levels, where
        relational queries were not negotiated (PS3.4 C.4.1.2.2, C.5.1.1). "auto": they are
        answered as if they had been, and the log says once for each peer that it relies on that.
        "strict": they are refused with A900H. "always": they are answered, and nothing is logged.
    fuzzy_names : bool
        Whether fuzzy matching of person names may be negotiated; the index must know how.
    max_results : int or None
        A C-FIND with more matches ends with A700 after so many; None for no limit.
    max_suboperations : int or None
        A C-MOVE or C-GET of more instances is refused with A701; None for no limit.
    pending_interval : float
        Least seconds between pending responses of C-MOVE and C-GET; 0 for one after each
        sub-operation. What takes longer is followed by one in any case.
    """

    models: tuple[str, ...] = field(default=_MODEL_NAMES, validator=_models)
    relational: Relational = field(default=Relational.AUTO, converter=Relational)
    fuzzy_names: bool = False
    max_results: int | None = field(default=None, validator=optional(ge(1)), metadata=RELOADABLE)
    max_suboperations: int | None = field(
        default=None, validator=optional(ge(1)), metadata=RELOADABLE
    )
    pending_interval: float = field(default=0.1, validator=ge(0), metadata=RELOADABLE)
