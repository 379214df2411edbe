import os
import subprocess
import sys

# In a process of its own, which has imported nothing of Celery yet.
STARTED_WHILE_CELERY_IS_IMPORTED = """
import os, sys, time, uuid
os.environ["DJANGO_SETTINGS_MODULE"] = "gateway.settings"
import django
django.setup()
from gateway.import_lock import CELERY_IMPORTS
from gateway.queues import hint_cargo
from gateway.servers.worker import Worker

def is_imported():
    return any(name.split(".")[0] in {"celery", "kombu"} for name in sys.modules)

worker = Worker(with_beat=True)
with CELERY_IMPORTS:
    worker.start()
    hint_cargo(uuid.uuid4())
    time.sleep(0.5)
    print("waited" if not is_imported() else "did not wait")
print("ready" if worker.wait_until_ready(60) else "not ready")
sys.stdout.flush()
os._exit(0)
"""


def test_threads_that_need_celery_import_it_one_at_a_time() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", STARTED_WHILE_CELERY_IS_IMPORTED],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert finished.stdout.split() == ["waited", "ready"], finished.stderr
