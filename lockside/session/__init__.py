"""Session: what a script or an interface can ask of Lockside, in process."""
