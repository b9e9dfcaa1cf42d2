"""One image for all tests of containers."""

import pytest
from support.containers import IMAGE, build


@pytest.fixture(scope="session")
def image() -> str:
    """The image of the Dockerfile, made now."""
    build()
    return IMAGE
