"""
The control API: `api` says what a call means, `server` is the small HTTP server it comes through.
"""
