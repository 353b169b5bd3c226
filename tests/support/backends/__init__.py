"""
Real HTTP servers that remember every request they have read: method, target, fields, body.

Each runs as a process of its own, `python -m tests.support.backends.NAME` (Node's by `node`), prints its port
and answers `GET /seen` with what it has seen, as JSON.
"""
