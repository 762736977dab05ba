"""Description of requests and results as JSON: the same from a command and over HTTP."""

from datetime import datetime

from pacs_ai.models import InferenceRequest, InferenceResult, ResultFinding, ServiceTotal


def describe_request(request: InferenceRequest, *, inputs: bool = True) -> dict[str, object]:
    """Return all that is known of a request."""
    found: dict[str, object] = {
        "number": request.number,
        "service": request.service,
        "version": request.version,
        "study": request.study_uid,
        "instances": len(request.inputs),
        "priority": request.priority,
        "asked_by": request.asked_by,
        "state": str(request.state),
        "attempts": request.attempts,
        "reason": request.reason,
        "note": request.note,
        "created": moment(request.created),
        "asked": moment(request.asked),
        "answered": moment(request.answered),
        "job": request.job,
    }
    if inputs:
        found["inputs"] = [
            {"series": each.series_uid, "instance": each.instance_uid, "digest": each.digest}
            for each in request.inputs
        ]
    return found


def describe_result(result: InferenceResult) -> dict[str, object]:
    """Return all that is known of a result."""
    return {
        "number": result.number,
        "request": result.request,
        "service": result.service,
        "version": result.version,
        "study": result.study_uid,
        "series": result.series_uid,
        "instance": result.instance_uid,
        "sop_class": result.sop_class_uid,
        "sha256": result.digest,
        "algorithm": result.algorithm,
        "state": str(result.state),
        "reasons": list(result.reasons),
        "fixed": list(result.fixes),
        "arrived": moment(result.arrived),
        "changed": moment(result.changed),
        "changed_by": result.changed_by,
        "assessment": str(result.assessment),
        "assessed_by": result.assessed_by,
        "assessed": moment(result.assessed),
        "comment": result.comment,
        "assessment_instance": result.assessment_uid,
    }


def describe_finding(finding: ResultFinding) -> dict[str, object]:
    """Return what is known of a finding, and what is thought of it."""
    return {
        "finding": finding.key,
        "segment": finding.number or None,
        "label": finding.label,
        "assessment": str(finding.assessment),
        "assessed_by": finding.assessed_by,
        "assessed": moment(finding.assessed),
        "comment": finding.comment,
    }


def describe_total(total: ServiceTotal) -> dict[str, object]:
    """Return the numbers of a service and version."""
    return {
        "service": total.service,
        "version": total.version,
        "requests": total.requests,
        "results": total.results,
        "assessments": total.assessments,
        "findings": total.findings,
        "mean_seconds": round(total.mean_seconds, 3),
    }


def moment(seconds: float) -> str:
    """Return a time in ISO 8601; empty for none."""
    if not seconds:
        return ""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
