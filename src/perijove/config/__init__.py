"""
Files, environment and flags become configured objects; nothing else reads them.

`settings` are the frozen results · `traits` the names an administrator writes · `sources` where
they come from · `check` refuses what is unknown, and names the nearest known name.
"""
