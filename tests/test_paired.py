"""The paired test over speakers, against scipy and against what must hold for any scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from serkit.errors import TrainingError
from serkit.evaluation.paired import holm, paired_test

# Shares such as accuracies are: many ties, and sums that rounding tells apart.
SHARES = st.builds(lambda right, n: right / n, st.integers(0, 60), st.sampled_from([60, 104]))


@st.composite
def scores(draw: st.DrawFn, largest: int = 16) -> tuple[dict[str, float], dict[str, float]]:
    n = draw(st.integers(5, largest))
    return tuple({f"{i:02d}": draw(SHARES) for i in range(n)} for _ in range(2))


def of_scipy(a: dict[str, float], b: dict[str, float], n_resamples: float) -> float:
    result = stats.permutation_test(
        ([a[name] for name in a], [b[name] for name in a]),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=n_resamples,
        vectorized=True,
        random_state=1,
    )
    return float(result.pvalue)


@settings(max_examples=40, deadline=None)
@given(pair=scores(largest=10))
def test_few_speakers_give_the_exact_p_of_scipy(pair: tuple[dict[str, float], dict[str, float]]) -> None:
    assert paired_test(*pair).p_value == pytest.approx(of_scipy(*pair, np.inf))


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.03])
def test_many_speakers_give_nearly_the_p_of_scipy(shift: float) -> None:
    rng = np.random.default_rng(4)
    a = {f"{i:02d}": 0.6 + shift + 0.1 * rng.standard_normal() for i in range(24)}
    b = {name: value + 0.05 * rng.standard_normal() for name, value in a.items()}
    b = {name: value - shift for name, value in b.items()}
    p = paired_test(a, b, n_resamples=50_000).p_value
    assert p == pytest.approx(of_scipy(a, b, 50_000), abs=0.01)


def test_exact_and_drawn_patterns_agree() -> None:
    rng = np.random.default_rng(0)
    a = {str(i): value for i, value in enumerate(rng.uniform(0.4, 0.8, 12))}
    b = {name: value - 0.03 + 0.05 * rng.standard_normal() for name, value in a.items()}
    exact = paired_test(a, b, n_resamples=4096).p_value
    drawn = paired_test(a, b, n_resamples=4095).p_value
    assert exact * 4096 == round(exact * 4096)
    assert drawn * 4096 == pytest.approx(round(drawn * 4096))
    assert drawn == pytest.approx(exact, abs=0.03)
    assert drawn != exact


@settings(max_examples=40, deadline=None)
@given(pair=scores(), seed=st.integers(0, 3))
def test_sides_may_be_swapped_and_rows_come_in_any_order(
    pair: tuple[dict[str, float], dict[str, float]], seed: int
) -> None:
    a, b = pair
    one = paired_test(a, b, n_resamples=2000, seed=seed)
    other = paired_test(b, a, n_resamples=2000, seed=seed)
    assert other.difference == -one.difference
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=1e-12)
    assert other.p_value == one.p_value
    assert 0 < one.p_value <= 1
    assert one.difference == pytest.approx(np.mean(list(a.values())) - np.mean(list(b.values())))
    assert one.low <= one.difference + 1e-12
    assert one.difference <= one.high + 1e-12
    assert paired_test(dict(reversed(a.items())), b, n_resamples=2000, seed=seed) == one


@settings(max_examples=20, deadline=None)
@given(pair=scores())
def test_a_model_does_not_differ_from_itself(pair: tuple[dict[str, float], dict[str, float]]) -> None:
    result = paired_test(pair[0], pair[0], n_resamples=1000)
    assert (result.difference, result.low, result.high, result.p_value) == (0, 0, 0, 1)


def test_a_difference_that_all_speakers_share_is_as_sure_as_can_be() -> None:
    a = {f"{i:02d}": 0.5 + 0.01 * i for i in range(24)}
    b = {name: value - 0.1 for name, value in a.items()}
    result = paired_test(a, b, n_resamples=999)
    assert result.p_value == 1 / 1000
    assert (result.low, result.high) == pytest.approx((0.1, 0.1))
    assert paired_test(dict(list(a.items())[:6]), dict(list(b.items())[:6])).p_value == 2 / 2**6


def test_the_interval_is_that_of_scipys_bootstrap() -> None:
    rng = np.random.default_rng(7)
    a = {f"{i:02d}": value for i, value in enumerate(rng.uniform(0.3, 0.8, 24))}
    b = {name: value - 0.05 * rng.standard_normal() for name, value in a.items()}
    result = paired_test(a, b)
    differences = np.array([a[name] - b[name] for name in a])
    theirs = stats.bootstrap((differences,), np.mean, method="percentile", random_state=1, n_resamples=10_000)
    assert result.low == pytest.approx(theirs.confidence_interval.low, abs=0.002)
    assert result.high == pytest.approx(theirs.confidence_interval.high, abs=0.002)


def test_speakers_that_do_not_pair_are_named() -> None:
    a = dict.fromkeys("abcdef", 0.5)
    with pytest.raises(TrainingError, match="got 6 and 6: f only in the first and x only in the second"):
        paired_test(a, dict.fromkeys("abcdex", 0.5))
    with pytest.raises(TrainingError, match="at least 5 speakers, got 4"):
        paired_test(dict.fromkeys("abcd", 0.5), dict.fromkeys("abcd", 0.5))
    with pytest.raises(TrainingError, match="Speaker c has a score that is not a finite number"):
        paired_test(a, a | {"c": float("nan")})
    with pytest.raises(TrainingError, match="n_resamples is 0"):
        paired_test(a, a, n_resamples=0)


def test_holm_is_what_his_paper_does() -> None:
    # by hand: 0.005 * 4, 0.01 * 3, 0.03 * 2, and 0.04 * 1 raised to the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []
    with pytest.raises(TrainingError, match="is not a p-value"):
        holm([0.2, 1.5])


@given(p_values=st.lists(st.floats(0, 1), max_size=12))
def test_holm_rejects_where_stepping_down_rejects(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    rejected = set()
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[i] * (len(p_values) - rank) > 0.05:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(adjusted) if p <= 0.05} == rejected
