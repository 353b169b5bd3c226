"""
Small, closed tools that any part may use: tasks, clock, logging, signatures.

Nothing here knows what perijove is. A new file needs two users and a reason.
"""
