"""Django's settings, built from the environment that gateway/env.py has checked."""

from pathlib import Path
from typing import Any

from gateway.env import load_environment
from gateway.private_files import create_private_file

_env = load_environment()

# ---------------------------------------------------------------- The gateway's own

INTERNET_ADDRESS = _env.internet_address
INTERNET_ADDRESS_OVERRIDES = _env.internet_address_overrides
DOH_RESOLVER_URL = _env.doh_resolver_url
ALL_IN_ONE = _env.is_all_in_one
DATA_DIR: Path = _env.gateway_data_dir
REDIS_URL = _env.redis_url.get_secret_value()

KEYSTORE_KEY = _env.load_keystore_key()

POWEB_BIND = _env.poweb_bind
POHTTP_BIND = _env.pohttp_bind
COGRPC_BIND = _env.cogrpc_bind
CONSOLE_BIND = _env.console_bind
POWEB_THREADS = _env.poweb_threads
POHTTP_THREADS = _env.pohttp_threads
CONSOLE_THREADS = _env.console_threads
MAX_PARCELS_IN_FLIGHT = _env.max_parcels_in_flight
POHTTP_USE_TLS = _env.pohttp_use_tls
COGRPC_TLS_CERTIFICATE = _env.cogrpc_tls_certificate
COGRPC_TLS_KEY = _env.cogrpc_tls_key
COGRPC_THREADS = _env.cogrpc_threads
COGRPC_MAX_STREAMS = _env.cogrpc_max_streams
COGRPC_MAX_CALLS = _env.cogrpc_max_calls
COGRPC_MAX_METADATA_OCTETS = _env.cogrpc_max_metadata_octets
COGRPC_MAX_CONNECTION_AGE_SECONDS = _env.cogrpc_max_connection_age_seconds
COGRPC_MAX_CONNECTION_IDLE_SECONDS = _env.cogrpc_max_connection_idle_seconds
DELIVERY_THREADS = _env.delivery_threads
DELIVERIES_PER_DESTINATION = _env.deliveries_per_destination
DELIVERY_TIMEOUT_SECONDS = _env.delivery_timeout_seconds
DELIVERY_ALLOWED_NETWORKS = _env.delivery_allowed_networks
UNWRAPPING_THREADS = _env.unwrapping_threads
REQUEST_ID_HEADER = _env.request_id_header
METADATA_RETENTION_HOURS = _env.metadata_retention_hours

# ---------------------------------------------------------------- Applications and requests

SECRET_KEY = _env.load_django_secret_key()
DEBUG = False

INSTALLED_APPS = [
    "gateway",  # Before the admin, some of whose templates it replaces.
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "poweb",
    "pohttp",
]

# The first one answers every request of a public edge by itself, so all the others are the console's alone.
MIDDLEWARE = [
    "gateway.middleware.PublicEdgeMiddleware",
    "gateway.console.headers.ConsoleHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "gateway.urls"
ASGI_APPLICATION = "gateway.asgi.application"
WSGI_APPLICATION = "gateway.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

# ---------------------------------------------------------------- State

DATABASES = {"default": _env.database}
if _env.database["ENGINE"].endswith("sqlite3"):
    # SQLite gives its journal the mode of the database, and would itself let others read both.
    create_private_file(_env.database["NAME"])

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STORAGES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "gateway.storage.DurableFileSystemStorage",
        "OPTIONS": {"location": DATA_DIR / "objects"},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": (
        {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
        if REDIS_URL
        else {"BACKEND": "gateway.channel_layer.InProcessChannelLayer"}
    ),
}

# ---------------------------------------------------------------- The console

# Refuses pages of other sites that point their own name at this machine.
ALLOWED_HOSTS = list(_env.console_allowed_hosts)
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS] if _env.console_use_tls else []
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_COOKIE_SECURE = _env.console_use_tls
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_SECURE = _env.console_use_tls
# Cookies know no ports: names of our own keep another service on localhost from overwriting them.
CSRF_COOKIE_NAME = "gateway_csrf"
SESSION_COOKIE_NAME = "gateway_session"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"

# Served from the packages themselves, so that nobody has to collect them first.
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True

# ---------------------------------------------------------------- Logs

LOGGING_CONFIG = "gateway.logging.configure_logging"
LOGGING = {"level": _env.log_level, "format": _env.log_format}
