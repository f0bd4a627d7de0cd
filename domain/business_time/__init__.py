"""Business time: working hours, holidays, time zones, and durations counted by them."""
