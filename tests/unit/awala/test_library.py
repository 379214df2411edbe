"""What holds of the library as a whole."""

import pkgutil
import subprocess
import sys

import pytest

import awala
from awala import errors

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(awala.__path__, "awala.")
    if not module.name.startswith("awala.clients")
)


def test_needs_no_django() -> None:
    script = f"import sys, {', '.join(MODULES)}; sys.exit(any(m.split('.')[0] == 'django' for m in sys.modules))"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    "error",
    [
        errors.MalformedMessageError,
        errors.OversizedMessageError,
        errors.InvalidSignatureError,
        errors.UntimelyMessageError,
        errors.UnauthorizedSenderError,
        errors.DecryptionError,
    ],
)
def test_blame_of_the_peer(error: type[Exception]) -> None:
    assert issubclass(error, errors.InvalidMessageError)
    assert not issubclass(error, errors.InvalidArgumentError)


def test_blame_of_the_caller() -> None:
    assert issubclass(errors.InvalidArgumentError, (errors.AwalaError, ValueError))
    assert not issubclass(errors.InvalidArgumentError, errors.InvalidMessageError)
