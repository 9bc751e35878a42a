"""The contract suite is a module of the product; here its assertions explain themselves."""

import pytest

pytest.register_assert_rewrite("tenure.runners.contract")
