"""Sections of the OpenAPI document, written as tables of operations."""

from pacs_web.api.openapi import (
    PROBLEM,
    TEXT,
    Operation,
    describe_section,
    object_of,
    query,
    reference,
)

NUMBER = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}}


def describe(*operations, schemas=None):
    return describe_section("things", "All of them", operations, schemas)


def test_operations_on_one_path_stand_beside_each_other_under_the_tag_of_the_section():
    section = describe(
        Operation("get", "/", "Things", reference("Thing")),
        Operation("post", "/", "One more", None, body={"application/json": TEXT}),
        schemas={"Thing": object_of(name=TEXT)},
    )
    assert section["tags"] == [{"name": "things", "description": "All of them"}]
    assert section["components"]["schemas"]["Thing"]["required"] == ["name"]
    assert list(section["paths"]["/"]) == ["get", "post"]
    add = section["paths"]["/"]["post"]
    assert add["tags"] == ["things"]
    assert add["responses"] == {"204": {"description": "Done"}, "default": PROBLEM}
    assert add["requestBody"]["content"] == {"application/json": {"schema": TEXT}}


def test_parameters_in_the_path_are_text_unless_they_are_described():
    section = describe(Operation("get", "/{kind}/{number}", "A thing", TEXT, (NUMBER,)))
    kind, number = section["paths"]["/{kind}/{number}"]["get"]["parameters"]
    assert kind == {"name": "kind", "in": "path", "required": True, "schema": TEXT}
    assert number == NUMBER


def test_a_parameter_of_the_query_is_text_unless_its_schema_says_otherwise():
    assert query("q") == {"name": "q", "in": "query", "schema": {"type": "string"}}
    limit = query("limit", "At most", required=True, type="integer", minimum=1)
    assert limit["schema"] == {"type": "integer", "minimum": 1}
    assert (limit["description"], limit["required"]) == ("At most", True)
