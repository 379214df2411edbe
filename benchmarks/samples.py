"""Statistics of small samples."""

import math
import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least this percentage of them does not exceed (nearest rank)."""
    if not values:
        raise ValueError("Nothing was measured")
    if not 0 <= percent <= 100:
        raise ValueError("A percentage is between 0 and 100")
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(rank, 1) - 1]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """The median of the ratios of pairs that were measured side by side, where the machine itself drifts."""
    return median([a / b for a, b in zip(numerators, denominators, strict=True)])


def spread(values: Sequence[float], digits: int = 0) -> str:
    """The least and the greatest, to show beside a median."""
    return f"{min(values):.{digits}f}-{max(values):.{digits}f}"
