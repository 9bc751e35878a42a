"""Assertions of the shared rooms say what they compared, like those of any test file."""

import pytest

pytest.register_assert_rewrite("tests.host.rooms")
