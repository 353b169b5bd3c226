"""
Arguments in, one composition root called. No decisions are made here.
"""
