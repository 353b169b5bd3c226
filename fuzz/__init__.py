"""
Any bytes, and what must hold for them.
"""
