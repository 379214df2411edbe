"""The gateway with one more task, a hint of which it sends to itself: `python -m tests.functional.toy_gateway`.

What follows is a command as GatewayProcess makes it, such as `python manage.py rungateway`.
"""

import os
import sys
import threading
import time

import django
from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")
    django.setup()
    threading.Thread(target=_send, daemon=True).start()
    execute_from_command_line(sys.argv[2:])


def _send() -> None:
    from gateway.publisher import Publisher  # noqa: PLC0415 - it needs Django, and takes long
    from tests.functional import toy_tasks  # noqa: PLC0415 - as above

    # What is sent before the worker takes anything waits for it.
    time.sleep(0.5)
    Publisher().send(str(toy_tasks.sleep.name), "inside", about="a cargo")


if __name__ == "__main__":
    main()
