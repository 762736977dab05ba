"""Registrations and documents as plain values, for JSON and tables."""

from datetime import datetime

from pacs_xds.ebxml import DocumentEntry
from pacs_xds.interface import Registration


def describe_registration(registration: Registration) -> dict[str, object]:
    """Return a registration."""
    return {
        "number": registration.number,
        "study": registration.study_instance_uid,
        "document": registration.document_uid,
        "entry": registration.entry_uuid,
        "state": str(registration.state),
        "instances": registration.instances,
        "patient": registration.patient_id,
        "replaces": registration.replaces,
        "attempts": registration.attempts,
        "created": _moment(registration.created),
        "changed": _moment(registration.changed),
        "reason": registration.reason,
    }


def describe_entry(entry: DocumentEntry) -> dict[str, object]:
    """Return a document that a registry knows."""
    return {
        "document": entry.unique_id,
        "repository": entry.repository_id,
        "patient": entry.patient_id,
        "created": entry.created,
        "type": entry.mime_type,
        "events": "\\".join(entry.events),
        "title": entry.title,
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
