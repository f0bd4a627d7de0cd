"""State machines: the states and arrows of each kind of work, as tables with their rules."""
