"""State machines: the states and transitions of each kind of work, as tables with their rules."""
