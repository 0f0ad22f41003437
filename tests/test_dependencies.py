"""The oldest versions that pyproject.toml allows: each is stated, and what tests them finds its interpreters."""

from __future__ import annotations

import re
import sys

import pytest

from tests import dependencies


def test_the_constraints_name_every_package_of_the_use_road_once() -> None:
    lines = dependencies.oldest().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==\d+(\.\d+)*", line) for line in lines)
    names = [line.split("==")[0] for line in lines]
    assert len(set(names)) == len(names)
    assert set(names) >= {"numpy", "scipy", "onnxruntime", "soundfile", "soxr", "typer", "rich", "av", "pyarrow"}


def test_a_package_without_an_oldest_version_is_refused() -> None:
    with pytest.raises(AssertionError, match="numpy states no oldest version: write name>=version"):
        dependencies.minima({"dependencies": ["numpy"]})


def test_interpreters_are_those_that_run() -> None:
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert dependencies.interpreter(here) == sys.executable
    assert dependencies.interpreter("2.99") is None


def test_what_is_tested_there_exists() -> None:
    assert [name for name in dependencies.TESTS if not (dependencies.ROOT / name).is_file()] == []
