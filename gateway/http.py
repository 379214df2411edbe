"""Answers that public clients get in the form they asked for."""

import json

from django.http import HttpRequest, HttpResponse

JSON = "application/json"
TEXT = "text/plain"

# When something of ours fails: soon enough for a parcel, late enough for a server that restarts.
RETRY_AFTER_SECONDS = 30
TRY_AGAIN = "Temporarily unavailable; try again later"


def encode_message(accept: str, message: str) -> tuple[str, bytes]:
    """Media type and body of `message` for a client that sent this `Accept` header ("" if none).

    JSON goes to whoever names it, or takes it but not plain text; everyone else gets plain text. The media
    types carry no parameters, because deployed clients compare them octet by octet.
    """
    if _prefers_json(accept):
        return JSON, json.dumps({"message": message}).encode()
    return TEXT, message.encode()


def negotiated_response(request: HttpRequest, status: int, message: str) -> HttpResponse:
    content_type, body = encode_message(request.headers.get("Accept", ""), message)
    return HttpResponse(body, status=status, content_type=content_type)


def _prefers_json(accept: str) -> bool:
    qualities = dict(_parse_range(media_range) for media_range in accept.lower().split(","))
    anything = qualities.get("*/*", 0.0)
    as_json = qualities.get(JSON, qualities.get("application/*", anything))
    as_text = qualities.get(TEXT, qualities.get("text/*", anything))
    return as_json > as_text or (as_json == as_text > 0 and JSON in qualities)


def _parse_range(media_range: str) -> tuple[str, float]:
    """The media range and its quality; a quality that cannot be read counts as 1, as if it were absent."""
    name, *parameters = (part.strip() for part in media_range.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter.removeprefix("q="))
            except ValueError:
                break
    return name, 1.0
