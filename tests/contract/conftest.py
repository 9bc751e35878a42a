"""Assertions of the public suite say what they compared, like those of any test file."""

import pytest

pytest.register_assert_rewrite("tenure.stores.contract")
