"""The package's own names."""

from __future__ import annotations

from importlib import metadata

import pytest

import dynolab


def test_the_version_is_the_distribution_s() -> None:
    assert dynolab.__version__ == metadata.version("dynolab")


def test_a_name_that_is_not_there_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        dynolab.nothing_of_the_kind  # noqa: B018 - the look-up itself is what is tested
