"""
perijove: a multi-user notebook platform.

The map of the package is ARCHITECTURE.md. Four programs (`hub`, `proxy`, `launcher`,
`singleuser`) meet only in `wire`; `supervisor` keeps them running; `cli` starts them.
"""

__version__ = "0.1.0"
