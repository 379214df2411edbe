#!/usr/bin/env python3
"""Runs the commands of the gateway; `manage.py help` lists them."""

import os
import sys

from django.core.management import execute_from_command_line

from gateway.errors import UnsafeSettingError


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")
    try:
        execute_from_command_line(sys.argv)
    except UnsafeSettingError as error:
        sys.exit(f"The gateway does not start with these settings. {error}")


if __name__ == "__main__":
    main()
