"""Sections of ``/openapi.json`` (OpenAPI 3.1), written as tables of operations.

A section is what ``openapi`` of a :class:`~pacs_web.api.WebRoutesDescriptor` returns. It may be any
fragment of a document; most are a table of operations whose answers are JSON, and whose problems
are those that every door answers with (RFC 9457).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import frozen

__all__ = [
    "COUNT", "PROBLEM", "TEXT", "Operation", "describe_section", "list_of", "object_of", "query",
    "reference",
]  # fmt: skip

TEXT: Final[Mapping[str, Any]] = {"type": "string"}
"""The schema of text."""
COUNT: Final[Mapping[str, Any]] = {"type": "integer", "minimum": 0}
"""The schema of a number of things."""
PROBLEM: Final[Mapping[str, Any]] = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"type": "object"}}},
}
"""What every operation may answer, too."""


def object_of(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has all these properties.

    Parameters
    ----------
    **properties : dict
        Schemas by name.
    """
    return {"type": "object", "required": list(properties), "properties": properties}


def list_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an array of what the schema describes."""
    return {"type": "array", "items": schema}


def reference(name: str) -> dict[str, Any]:
    """Return a schema that is that of this name among those of the section."""
    return {"$ref": f"#/components/schemas/{name}"}


def query(
    name: str, description: str = "", *, required: bool = False, **schema: Any
) -> dict[str, Any]:
    """Return a parameter of the query: text, unless the schema says otherwise.

    Parameters
    ----------
    name, description : str
    required : bool
    **schema
        Keywords of its schema.
    """
    described = {"description": description} if description else {}
    needed = {"required": True} if required else {}
    return {"name": name, "in": "query", "schema": {**TEXT, **schema}} | described | needed


@frozen
class Operation:
    """What may be asked for, and what is answered.

    Attributes
    ----------
    method : str
        In lower case.
    path : str
        After the prefix of the routes, with ``{name}`` for each parameter in it.
    summary : str
    answer : dict or None
        The schema of the JSON that is answered; None where nothing is (204).
    parameters : iterable of dict
        Those of the query; the parameters in the path are text unless they are among these.
    body : dict
        Schemas of the request's body by media type.
    status : str
        Of an answer to which nothing is wrong.
    media_types : sequence of str
        Of the answer.
    """

    method: str
    path: str
    summary: str
    answer: Mapping[str, Any] | None
    parameters: Iterable[Mapping[str, Any]] = ()
    body: Mapping[str, Mapping[str, Any]] = {}
    status: str = "200"
    media_types: Iterable[str] = ("application/json",)

    def describe(self, tag: str) -> dict[str, Any]:
        """Return the operation object, with the tag of its section."""
        given = [dict(each) for each in self.parameters]
        described = {each["name"] for each in given if each["in"] == "path"}
        in_path = [
            {"name": name, "in": "path", "required": True, "schema": TEXT}
            for name in re.findall(r"\{(\w+)\}", self.path)
            if name not in described
        ]
        good: dict[str, Any] = {"204": {"description": "Done"}}
        if self.answer is not None:
            content = {each: {"schema": self.answer} for each in self.media_types}
            good = {self.status: {"description": self.summary, "content": content}}
        body = {each: {"schema": schema} for each, schema in self.body.items()}
        return {
            "summary": self.summary,
            "tags": [tag],
            "parameters": [*in_path, *given],
            "responses": good | {"default": PROBLEM},
        } | ({"requestBody": {"required": True, "content": body}} if body else {})


def describe_section(
    tag: str,
    description: str,
    operations: Iterable[Operation],
    schemas: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return a section.

    Parameters
    ----------
    tag, description : str
        What its operations are listed under.
    operations : iterable of Operation
    schemas : dict, optional
        By the names that :func:`reference` is given.
    """
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method] = each.describe(tag)
    section: dict[str, Any] = {
        "paths": paths,
        "tags": [{"name": tag, "description": description}],
    }
    return section | ({"components": {"schemas": dict(schemas)}} if schemas else {})
