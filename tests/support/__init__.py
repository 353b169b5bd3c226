"""
What several kinds of tests need: a real perijove, started and stopped.
"""
