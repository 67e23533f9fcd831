"""Fixtures for all tests: the instruction set in use and the number of threads, restored afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codeword import _native


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write golden models that are missing")


@pytest.fixture(params=_native.available_isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test once per instruction set that this machine has."""
    before = _native.isa()
    _native.set_isa(request.param)
    yield request.param
    _native.set_isa(before)


@pytest.fixture
def keep_threads() -> Iterator[None]:
    """Restore the number of threads after the test."""
    before = _native.threads()
    yield
    _native.set_threads(before)
