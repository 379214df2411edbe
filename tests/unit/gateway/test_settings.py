import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

ROOT = Path(__file__).parents[3]


def run_python(code: str, data_dir: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "GATEWAY_DATA_DIR": str(data_dir), **variables}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_public_edges_come_before_the_console() -> None:
    assert settings.MIDDLEWARE[0] == "gateway.middleware.PublicEdgeMiddleware"


def test_cookies_of_the_console_are_guarded() -> None:
    assert settings.SESSION_COOKIE_HTTPONLY
    assert settings.SESSION_COOKIE_SAMESITE == settings.CSRF_COOKIE_SAMESITE == "Strict"
    assert not settings.DEBUG


def test_servers_of_an_outgrown_installation_are_used(tmp_path: Path) -> None:
    done = run_python(
        "from django.conf import settings as s;"
        "print(s.DATABASES['default']['HOST'], s.CHANNEL_LAYERS['default']['BACKEND'], s.ALL_IN_ONE)",
        tmp_path,
        DJANGO_SETTINGS_MODULE="gateway.settings",
        INTERNET_ADDRESS="gateway.example.org",
        DATABASE_URL="postgresql://db.example/gateway",
        REDIS_URL="redis://redis.example",
    )

    assert done.stdout.split() == ["db.example", "channels_redis.pubsub.RedisPubSubChannelLayer", "False"]
    assert not (tmp_path / "gateway.sqlite3").exists()


def test_console_behind_tls_keeps_its_cookies_to_tls(tmp_path: Path) -> None:
    done = run_python(
        "from django.conf import settings as s;"
        "print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, *s.CSRF_TRUSTED_ORIGINS)",
        tmp_path,
        DJANGO_SETTINGS_MODULE="gateway.settings",
        CONSOLE_USE_TLS="true",
        CONSOLE_ALLOWED_HOSTS="console.example.org",
    )

    assert done.stdout.split() == ["True", "True", "https://console.example.org"]


def test_database_file_is_for_its_owner(tmp_path: Path) -> None:
    run_python("import django; django.setup()", tmp_path, DJANGO_SETTINGS_MODULE="gateway.settings")

    assert {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {
        "django-secret.key": "0o600",
        "gateway.sqlite3": "0o600",
        "keystore.key": "0o600",
    }


@pytest.mark.django_db
def test_migrations_match_the_models() -> None:
    call_command("makemigrations", check=True, dry_run=True, skip_checks=True, verbosity=0)
