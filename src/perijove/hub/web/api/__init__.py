"""
The REST API of contract d below `/hub/api`. One file per noun; `models` has the JSON shapes, `bodies` and
`pagination` what requests and lists share. Errors are raised and become JSON in `web/problems.py`.
"""
