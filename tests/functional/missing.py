"""What to do about a server that a test needs and that is not on this machine."""

import os
from typing import NoReturn

import pytest


def give_up(what: str, reason: object) -> NoReturn:
    """Skip loudly, or fail where every server has to be there (AWALA_REQUIRE_SERVERS)."""
    if os.environ.get("AWALA_REQUIRE_SERVERS") == "1":
        pytest.fail(str(reason))
    pytest.skip(f"{what} NOT TESTED: {reason}")
