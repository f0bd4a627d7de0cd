"""Reactions: hooks that follow an operation, such as notifications; nothing imports them."""
