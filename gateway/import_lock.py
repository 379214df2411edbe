"""Lets one thread at a time import Celery.

Its modules import each other in circles. Of two threads that come from both sides, each would wait for a module that
the other has begun, and Python ends the wait of one by an error.
"""

import threading

CELERY_IMPORTS = threading.Lock()
