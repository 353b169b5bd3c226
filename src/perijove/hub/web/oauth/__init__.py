"""
The OAuth 2 provider over HTTP: `authorize`, which is a page, and `token`, which programs call (contract b).
"""
