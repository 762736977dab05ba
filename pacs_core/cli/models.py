"""The Query/Retrieve SOP classes of each information model (PS3.4 C.6)."""

from attrs import frozen

from pacs_core.cli.keys import Level, Root


@frozen
class ModelUids:
    """SOP class UIDs of an information model."""

    find: str
    move: str
    get: str


def _model(number: int) -> ModelUids:
    return ModelUids(*(f"1.2.840.10008.5.1.4.1.2.{number}.{service}" for service in (1, 2, 3)))


MODELS: dict[Root, ModelUids] = {"patient": _model(1), "study": _model(2)}


def model_for(root: Root | None, level: Level) -> ModelUids:
    """Return the asked-for model; else Study Root, except for patients, which it lacks."""
    return MODELS[root or ("patient" if level == "patient" else "study")]
