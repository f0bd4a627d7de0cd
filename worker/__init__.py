"""Worker: settings, the Celery application, its platform, signals and logs."""
