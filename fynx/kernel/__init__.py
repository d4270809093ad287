"""The micro-kernel: finds the plugins asked for, checks and freezes what they register, calls listeners."""
