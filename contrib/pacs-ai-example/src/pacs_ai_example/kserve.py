"""A model behind the Open Inference Protocol, KServe v2, as Triton and others serve it.

The model takes a volume, ``image`` of FP32 in Hounsfield units with the shape [1, slices, rows,
columns], and answers with ``mask`` of the same shape. What is above one half is the finding.
"""

import json
from collections.abc import Sequence
from http.client import HTTPException
from math import prod
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from pacs_ai_example.model import Component, NothingToSeeError, measure, read_volume

_TIMEOUT = 300.0
_BUSY = frozenset({429, 502, 503, 504})


class ModelAwayError(Exception):
    """The server of the model cannot be reached, or takes nothing for now."""


def find_component(images: Sequence[Dataset], url: str) -> Component:
    """Have a model find the component.

    Parameters
    ----------
    images : sequence of Dataset
        CT images of one series, in any order.
    url : str
        Of the model, as ``http://triton:8000/v2/models/lesion/versions/3``.

    Raises
    ------
    NothingToSeeError, ModelAwayError, ValueError
    """
    ordered, values = read_volume(images)
    shape = [1, *values.shape]
    data = values.astype(np.float32).ravel().tolist()
    tensor = {"name": "image", "shape": shape, "datatype": "FP32", "data": data}
    answer = _ask(f"{url}/infer", {"inputs": [tensor], "outputs": [{"name": "mask"}]})
    mask = _read_mask(answer, shape)
    if not mask.any():
        raise NothingToSeeError("the model has found nothing")
    name, version = str(answer.get("model_name") or ""), str(answer.get("model_version") or "")
    if not (name and version):
        raise ValueError("the answer does not say which model and version has made it")
    return Component(ordered, mask, measure(ordered, mask), name, version)


def _ask(url: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    request = Request(url, json.dumps(body).encode(), headers)  # noqa: S310  who runs it says so
    try:
        with urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            answer = json.load(response)
    except HTTPError as error:
        text = error.read(2000).decode("utf-8", "replace")
        if error.code in _BUSY:
            raise ModelAwayError(f"{url} answered {error.code}: {text}") from error
        raise ValueError(f"{url} answered {error.code}: {text}") from error
    except (OSError, HTTPException) as error:
        raise ModelAwayError(f"{url}: {error}") from error
    if not isinstance(answer, dict):
        raise ValueError(f"{url} did not answer with an object")
    return answer


def _read_mask(answer: dict[str, Any], shape: list[int]) -> NDArray[np.bool_]:
    for each in answer.get("outputs") or []:
        if each.get("name") == "mask":
            if list(each.get("shape") or []) != shape:
                raise ValueError(f"the mask has the shape {each.get('shape')}, not {shape}")
            values = np.asarray(each.get("data"), np.float32).ravel()
            if values.size != prod(shape):
                raise ValueError(f"the mask has {values.size} values, not {prod(shape)}")
            found: NDArray[np.bool_] = values.reshape(shape[1:]) > 0.5
            return found
    raise ValueError("the answer has no output 'mask'")
