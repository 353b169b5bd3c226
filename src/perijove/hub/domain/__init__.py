"""
The hub's nouns and their rules. Pure: no I/O, no clock, no framework, no SQL.
"""
