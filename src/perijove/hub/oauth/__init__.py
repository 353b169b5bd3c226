"""
The OAuth 2 provider without a web framework: one file per section of the RFCs. Pure.
"""
