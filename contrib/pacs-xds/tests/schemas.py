"""Messages against a schema: always against ours, and against those of IHE where they are at hand.

``messages.rng`` has what ebXML RegRep 3.0 and IHE ask of bodies, in words of our own. No package
has their schemas, and they are not this project's to give away: IHE publishes its own with the
Technical Frameworks, OASIS those of ebXML with the standard. With the folder that holds them in
``PACS_XDS_SCHEMAS``, the tests hold every message against them as well, in and out.
"""

import os
from functools import cache
from pathlib import Path

from lxml import etree

SCHEMAS = {
    "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0": "query.xsd",
    "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0": "rs.xsd",
    "urn:ihe:iti:xds-b:2007": "XDS.b_DocumentRepository.xsd",
    "urn:ihe:rad:xdsi-b:2009": "XDSI.b_ImagingDocumentSource.xsd",
}
INCLUDE = "{http://www.w3.org/2004/08/xop/include}Include"
MESSAGES = etree.RelaxNG(file=str(Path(__file__).with_name("messages.rng")))


def check_schema(message):
    """Hold what is in a body against the schemas; lxml says what is wrong."""
    whole = etree.fromstring(etree.tostring(message))
    MESSAGES.assertValid(whole)
    name = SCHEMAS.get(etree.QName(message).namespace)
    if not (folder := os.environ.get("PACS_XDS_SCHEMAS")) or name is None:
        return
    for include in list(whole.iter(INCLUDE)):  # stands for the base64 text of the schemas
        holder = include.getparent()
        holder.remove(include)
        holder.text = "AAAA"
    _load(folder, name).assertValid(whole)


@cache
def _load(folder, name):
    found = next(Path(folder).rglob(name), None)
    assert found is not None, f"PACS_XDS_SCHEMAS: {name} is not in {folder}"
    return etree.XMLSchema(etree.parse(found))
