"""Fixtures that pytest finds by itself where menwei is installed (entry point group `pytest11`).

They import the core only when a test asks for one: a project that merely has menwei installed pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from menwei.context import Context
    from menwei.plugin import Passage
    from menwei.testing import RecordedReports

# The cases of the conformance suite say what they compared, as tests in a test module do.
pytest.register_assert_rewrite(
    *(
        f"menwei.testing.{name}"
        for name in ("cases", "cases_commands", "cases_reads", "conformance", "driven")
    )
)


@pytest.fixture
def menwei_context() -> Context:
    """A `Context` without permissions."""
    from menwei.testing import context

    return context()


@pytest.fixture
def menwei_passage() -> Callable[..., Passage]:
    """`menwei.testing.passage`: makes a passage that differs in what you name."""
    from menwei.testing import passage

    return passage


@pytest.fixture
def menwei_reports() -> Any:
    """A `RecordedReports` to hand to a driver."""
    from menwei.testing import RecordedReports

    reports: RecordedReports = RecordedReports()
    return reports
