"""Demo data: realistic work to try Lockside on, stored through the public import."""
