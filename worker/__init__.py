"""Who runs it: settings, the Celery application, embedded servers and signals."""
