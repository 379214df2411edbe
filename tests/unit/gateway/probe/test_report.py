import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from gateway.probe.report import TimelinePrinter, encode_json
from gateway.probe.steps import Step
from gateway.probe.target import PongPlace, Target

PONG = PongPlace(internet_address="pong.example.com", host="127.0.0.1", port=8083)
TARGET = Target(
    poweb_url="https://poweb.example.com",
    pohttp_url="https://pohttp.example.com",
    cogrpc_url="https://cogrpc.example.com",
    pong=PONG,
)
PASSED = Step(
    started_after=0.5, seconds=0.0123, actor="Device A", title="registers", detail="[id] :smile:", has_passed=True
)
FAILED = Step(started_after=1, seconds=2, actor="Internet", title="sends", detail="Cannot reach it", has_passed=False)


def shown(*steps: Step, target: Target = TARGET, force_terminal: bool = False) -> str:
    output = io.StringIO()
    printer = TimelinePrinter(Console(file=output, width=20, force_terminal=force_terminal))
    printer.begin(target)
    for step in steps:
        printer.step(step)
    printer.end(steps, 2.5)
    return output.getvalue()


class TestTimeline:
    def test_says_what_is_probed(self) -> None:
        assert shown().startswith(
            "PoWeb   https://poweb.example.com\n"
            "PoHTTP  https://pohttp.example.com\n"
            "CogRPC  https://cogrpc.example.com\n"
            "Pong    pong.example.com, at 127.0.0.1:8083\n"
        )

    def test_says_how_to_have_the_ping(self) -> None:
        assert "give --pong ADDRESS" in shown(target=replace(TARGET, pong=None))
        assert "--pong" not in shown()

    def test_step_takes_a_line_however_narrow_the_terminal(self) -> None:
        assert "  0.500 s  ✔ Device A  registers                         12.3 ms  [id] :smile:\n" in shown(PASSED)

    def test_all_passed(self) -> None:
        assert shown(PASSED).endswith("\nAll 1 steps passed in 2.5 s.\n")

    def test_nothing_was_played(self) -> None:
        assert "passed" not in shown()

    def test_failed_step_stands_out(self) -> None:
        assert "✘ Internet  sends                           2000.0 ms  Cannot reach it\n" in shown(FAILED)
        assert "passed" not in shown(PASSED, FAILED)

    @pytest.mark.parametrize("step", [PASSED, FAILED])
    def test_colours_are_for_terminals_alone(self, step: Step) -> None:
        assert "\x1b[" in shown(step, force_terminal=True)
        assert "\x1b[" not in shown(step)


def test_json_document() -> None:
    document = json.loads(encode_json(TARGET, [PASSED], 2.5, None))
    assert document == {
        "poweb_url": "https://poweb.example.com",
        "pohttp_url": "https://pohttp.example.com",
        "cogrpc_url": "https://cogrpc.example.com",
        "pong_address": "pong.example.com",
        "left_out": None,
        "has_passed": True,
        "failure": None,
        "seconds": 2.5,
        "steps": [
            {
                "started_after": 0.5,
                "seconds": 0.0123,
                "actor": "Device A",
                "title": "registers",
                "detail": "[id] :smile:",
                "has_passed": True,
            }
        ],
    }


def test_json_without_a_ping() -> None:
    document = json.loads(encode_json(replace(TARGET, pong=None), [PASSED], 2.5, None))
    assert document["pong_address"] is None
    assert "--pong ADDRESS" in document["left_out"]


def test_json_of_a_failure() -> None:
    document = json.loads(encode_json(TARGET, [FAILED], 2.5, "Internet: sends: Cannot reach it"))
    assert not document["has_passed"]
    assert document["failure"] == "Internet: sends: Cannot reach it"
