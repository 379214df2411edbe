"""The structure of the database is made whole or not at all, wherever the making is cut short."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.gateway_process import PROJECT, GatewayProcess

pytestmark = pytest.mark.torture

# Ends the process when Django is about to note that it applied a migration: in a transaction of its own, for most.
SET_UP_CUT_SHORT = """
import os, sys
import django
from django.db.migrations.executor import MigrationExecutor

def cut_at(executor, migration):
    if str(migration) == sys.argv[1]:
        os._exit(17)
    record(executor, migration)

os.environ["DJANGO_SETTINGS_MODULE"] = "gateway.settings"
django.setup()
record, MigrationExecutor.record_migration = MigrationExecutor.record_migration, cut_at
from gateway.first_start import set_up
set_up()
"""


@pytest.mark.parametrize("migration", ["auth.0001_initial", "gateway.0001_initial"])
def test_next_start_makes_the_structure(tmp_path: Path, migration: str) -> None:
    data_dir = tmp_path / "data"

    cut_short = subprocess.run(
        [sys.executable, "-c", SET_UP_CUT_SHORT, migration],
        cwd=PROJECT,
        env=os.environ | {"GATEWAY_DATA_DIR": str(data_dir)},
        check=False,
    )

    assert cut_short.returncode == 17
    assert "The gateway is set up." in GatewayProcess(data_dir).manage("setupgateway")
