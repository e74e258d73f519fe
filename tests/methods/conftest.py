import pytest

from lelkern.data import load


@pytest.fixture(scope="module")
def data():
    return load("color-digits")
