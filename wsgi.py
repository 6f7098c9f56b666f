"""The WSGI entry point: ``gunicorn wsgi:app``. Settings come from the environment; nothing else is here."""

from server.app import create_app
from server.config import Settings

app = create_app(Settings.from_env())
