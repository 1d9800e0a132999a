"""Patterns of packages and dependencies: what each form selects."""

from __future__ import annotations

import pytest

from indexer.core.errors import BadConfig
from indexer.core.specs.pattern import dependency_of, pattern_of

NUMPY = ("numpy", "2.1.3", "py312_0")


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("numpy", True),
        ("NumPy", True),
        ("num*", True),
        ("*", True),
        ("num", False),
        ("numpy=2", True),
        ("numpy=2.1", True),
        ("numpy=2.10", False),
        ("numpy=2.1.*", True),
        ("numpy==2.1", False),
        ("numpy==2.1.3", True),
        ("numpy=2.1.3=py312_0", True),
        ("numpy=2.1=py312_0", False),
        ("numpy=2.1.*=py312*", True),
        ("numpy=*=py311*", False),
        ("numpy>=2,<3", True),
        ("numpy >=2.2", False),
        ("numpy 2.1.* py3*", True),
    ],
)
def test_a_pattern_selects_by_name_version_and_build(text: str, selected: bool) -> None:  # noqa: FBT001
    assert pattern_of(text).matches(*NUMPY) is selected


@pytest.mark.parametrize("text", ["", "=1", "numpy=>1", "numpy[version=1]", "numpy>", "a b c d", "numpy=^1$"])
def test_a_text_that_is_no_pattern_is_wrong_usage(text: str) -> None:
    with pytest.raises(BadConfig, match="does not name packages"):
        pattern_of(text)


def test_a_version_that_cannot_be_compared_is_selected_by_no_pattern() -> None:
    assert not pattern_of("numpy").matches("numpy", "", "0")


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("numpy", True),
        ("numpy >=1.20,<3|4.*", True),
        ("numpy 2.1.3 py312_0", True),
        ("numpy 2.1.3 py311_0", False),
        ("conda-forge::numpy 2.*", True),
        ('numpy[version=">=2",build="py312*"]', True),
        ('numpy[version=">=3"]', False),
        ("numpy 2.1.* # a comment", True),
    ],
)
def test_a_dependency_accepts_by_name_version_and_build(text: str, selected: bool) -> None:  # noqa: FBT001
    pattern = dependency_of(text)
    assert pattern is not None
    assert pattern.matches(*NUMPY) is selected


@pytest.mark.parametrize("text", ["__glibc >=2.17", 'numpy[when="python <3"]'])
def test_virtual_packages_and_conditions_are_not_followed(text: str) -> None:
    assert dependency_of(text) is None


@pytest.mark.parametrize("text", ["", "numpy[version=", "numpy ^1.*$"])
def test_a_dependency_that_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the reason is shown to nobody
        dependency_of(text)
