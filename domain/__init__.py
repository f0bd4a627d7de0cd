"""Domain rules: machines, checks and calculations as pure functions, without server or clock."""
