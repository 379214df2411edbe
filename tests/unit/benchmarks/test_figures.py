import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.figures import Figure, format_value, print_table, write_json

LATENCY = Figure(benchmark="push", name="p99", value=25, unit="ms", floor=50, goal=20)
RATE = Figure(benchmark="intake", name="1 KiB", value=300, unit="parcels/s", floor=200, goal=400, more_is_better=True)


@pytest.mark.parametrize(
    ("figure", "ratio", "verdict"),
    [
        (LATENCY, 2.0, "floor"),
        (replace(LATENCY, value=20), 2.5, "goal"),
        (replace(LATENCY, value=100), 0.5, "below the floor"),
        (replace(LATENCY, goal=None), 2.0, "floor"),
        (replace(LATENCY, floor=None, goal=None), None, ""),
        (replace(LATENCY, value=0), None, "goal"),
        (RATE, 1.5, "floor"),
        (replace(RATE, value=400), 2.0, "goal"),
        (replace(RATE, value=100), 0.5, "below the floor"),
    ],
)
def test_figure_is_compared_with_its_floor(figure: Figure, ratio: float | None, verdict: str) -> None:
    assert figure.ratio == ratio
    assert figure.verdict == verdict


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0456, "0.046"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (123.4, "123"),
        (12_345, "12,345"),
        (-2.5, "-2.50"),
    ],
)
def test_values_keep_three_digits(value: float, text: str) -> None:
    assert format_value(value) == text


def test_table_names_each_benchmark_once() -> None:
    output = io.StringIO()

    print_table([RATE, replace(RATE, name="100 KiB"), LATENCY], Console(file=output))

    text = output.getvalue()
    assert text.count("intake") == 1
    assert "100 KiB" in text
    assert "1.50x" in text


def test_json_has_every_figure(tmp_path: Path) -> None:
    path = tmp_path / "results" / "figures.json"

    write_json(path, [RATE, LATENCY], {"cores": 2}, {"is_quick": True})

    document = json.loads(path.read_text())
    assert document["machine"] == {"cores": 2}
    assert document["run"] == {"is_quick": True}
    assert [(figure["name"], figure["ratio_to_floor"], figure["reached"]) for figure in document["figures"]] == [
        ("1 KiB", 1.5, "floor"),
        ("p99", 2.0, "floor"),
    ]
