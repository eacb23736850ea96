"""What the tests of the annotation page share."""

import pytest

from projects_tests.web.browser import browser_path


@pytest.fixture(scope="session")
def browser():
    """The program of a browser; a test is skipped where there is none."""
    return browser_path()
