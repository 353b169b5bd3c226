"""
What people see. Every handler gets a `Frame`: the request with what all pages share; the templates are in
`web/templates`. Forms are posted to addresses beside the page that shows them; nothing changes by GET but one
thing: visiting a stopped server starts it (`way_in.py`).
"""
