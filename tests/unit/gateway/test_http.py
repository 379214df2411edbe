import json

import pytest
from django.test import RequestFactory

from gateway.http import encode_message, negotiated_response


@pytest.mark.parametrize(
    "accept",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json, text/plain, */*",
        "text/plain;q=0.5, application/json",
        "application/*",
        "application/json;q=0.1",
        "*/*;q=0.1, application/json;q=0.1",
    ],
)
def test_json_for_those_who_name_or_prefer_it(accept: str) -> None:
    media_type, body = encode_message(accept, "“No”")

    assert media_type == "application/json"
    assert json.loads(body) == {"message": "“No”"}


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/plain",
        "text/html",
        "text/*, application/json;q=0.9",
        "application/json;q=0",
        "application/json;q=0, */*",
        "image/png;q=x",
        ",;,",
    ],
)
def test_plain_text_otherwise(accept: str) -> None:
    assert encode_message(accept, "“No”") == ("text/plain", "“No”".encode())


def test_unreadable_quality_counts_as_one() -> None:
    assert encode_message("application/json;q=high, text/plain;q=0.9", "No")[0] == "application/json"


def test_response_carries_status_type_and_body() -> None:
    response = negotiated_response(RequestFactory().get("/", headers={"Accept": "application/json"}), 413, "Too large")

    assert (response.status_code, response.headers["Content-Type"]) == (413, "application/json")
    assert response.content == b'{"message": "Too large"}'
