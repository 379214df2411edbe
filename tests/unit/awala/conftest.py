"""Settings of the property tests: failures are kept beside the other caches, and no test depends on a clock."""

from pathlib import Path

from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

_EXAMPLES = Path(__file__).parents[3] / ".cache" / "hypothesis"

settings.register_profile("awala", deadline=None, print_blob=True, database=DirectoryBasedExampleDatabase(_EXAMPLES))
settings.load_profile("awala")
