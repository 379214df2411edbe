"""Shows the steps of the probe: a line for each as it ends, or one JSON document at the end."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from gateway.probe.steps import Step
from gateway.probe.target import Target

_ACTOR_STYLES = {
    "Gateway": "magenta",
    "Device A": "cyan",
    "Device B": "blue",
    "Internet": "yellow",
    "Pong": "yellow",
    "Courier": "bright_green",
}
_SLOW_SECONDS = 1.0
_WITHOUT_PONG = (
    "Without a ping to the Internet and its pong: for those the gateway must be able to reach this probe, so give "
    "--pong ADDRESS and --pong-bind."
)


class TimelinePrinter:
    """Prints for people: when each step began, who did what, and how long it took."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin(self, target: Target) -> None:
        self._print(Text.assemble("PoWeb   ", (target.poweb_url, "underline")))
        self._print(Text.assemble("PoHTTP  ", (target.pohttp_url, "underline")))
        self._print(Text.assemble("CogRPC  ", (target.cogrpc_url, "underline")))
        self._print(Text(f"Pong    {target.pong}") if target.pong else Text(_WITHOUT_PONG, "dim"))
        self._print(Text())

    def step(self, step: Step) -> None:
        mark, style = ("✔", "green") if step.has_passed else ("✘", "bold red")
        duration_style = "yellow" if step.seconds >= _SLOW_SECONDS else "dim"
        self._print(
            Text.assemble(
                (f"{step.started_after:7.3f} s  ", "dim"),
                (f"{mark} ", style),
                (f"{step.actor:<10}", _ACTOR_STYLES.get(step.actor, "white")),
                f"{step.title:<30}",
                (f"{step.seconds * 1_000:8.1f} ms  ", duration_style),
                (step.detail, "dim" if step.has_passed else style),
            )
        )

    def end(self, steps: Sequence[Step], seconds: float) -> None:
        self._print(Text())
        if steps and all(step.has_passed for step in steps):
            self._print(Text(f"All {len(steps)} steps passed in {seconds:.1f} s.", "bold green"))

    def _print(self, text: Text) -> None:
        text.rstrip()
        # Nothing is wrapped or looked for in it: the line is what a log or a pipe gets.
        self._console.print(text, soft_wrap=True, highlight=False)


def encode_json(target: Target, steps: Sequence[Step], seconds: float, failure: str | None) -> str:
    """The whole probe for machines; `failure` is null if all steps passed, `left_out` if all were played."""
    document = {
        "poweb_url": target.poweb_url,
        "pohttp_url": target.pohttp_url,
        "cogrpc_url": target.cogrpc_url,
        "pong_address": target.pong.internet_address if target.pong else None,
        "left_out": None if target.pong else _WITHOUT_PONG,
        "has_passed": failure is None,
        "failure": failure,
        "seconds": round(seconds, 6),
        "steps": [
            {**asdict(step), "started_after": round(step.started_after, 6), "seconds": round(step.seconds, 6)}
            for step in steps
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
