import pytest

from benchmarks import samples


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1.0), (1, 1.0), (50, 50.0), (50.5, 51.0), (99, 99.0), (99.5, 100.0), (100, 100.0)]
)
def test_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    values = [float(value) for value in range(100, 0, -1)]

    assert samples.percentile(values, percent) == expected


def test_percentile_of_one_value_is_that_value() -> None:
    assert samples.percentile([7.0], 99) == 7.0


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="Nothing"):
        samples.percentile([], 50)


@pytest.mark.parametrize("percent", [-1, 101])
def test_percentage_outside_its_range_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="between"):
        samples.percentile([1.0], percent)


def test_median_ratio_pairs_what_was_measured_together() -> None:
    # The machine was half as fast in the second round; the ratio is the same.
    assert samples.median_ratio([10.0, 20.0, 10.0], [1.0, 2.0, 1.0]) == 10.0


def test_median_ratio_refuses_unpaired_samples() -> None:
    with pytest.raises(ValueError, match="shorter"):
        samples.median_ratio([1.0, 2.0], [1.0])


def test_spread_names_both_ends() -> None:
    assert samples.spread([2.04, 1.0, 3.26], 1) == "1.0-3.3"
