"""Settings for the demo: "make demo-web". The server is the one that PGHOST and the like name."""

import os

SECRET_KEY = os.environ.get("DEMO_SECRET_KEY") or os.urandom(20).hex()
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "thread.urls"
WSGI_APPLICATION = "thread.wsgi.application"
INSTALLED_APPS = ["thread"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("PGDATABASE", "postgres"),
        "HOST": os.environ.get("PGHOST", ""),
        "PORT": os.environ.get("PGPORT", ""),
        "USER": os.environ.get("PGUSER", ""),
        # Each worker keeps its connection.
        "CONN_MAX_AGE": None,
    }
}
