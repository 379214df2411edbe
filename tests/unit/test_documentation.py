"""What the documentation says of the tests and of other pages holds."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
DIFFERENCES = (ROOT / "docs" / "protocol-differences.md").read_text()


@pytest.mark.parametrize(
    "reference", sorted(set(re.findall(r"`((?:unit|functional)/[\w/]+\.py(?:::\w+)?)`", DIFFERENCES)))
)
def test_named_test_exists(reference: str) -> None:
    path, _, name = reference.partition("::")

    assert f"def {name}" in (ROOT / "tests" / path).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []
