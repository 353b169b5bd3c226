"""
Kills the parts of a test installation at random while people use it, and checks in the end that nothing was lost.
"""
