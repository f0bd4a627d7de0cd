"""Session: the Python interface of Lockside, in process, for scripts and other interfaces."""
