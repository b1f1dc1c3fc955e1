"""The workers of a fleet: their lease, their table, and who continues the runs of a dead one."""
