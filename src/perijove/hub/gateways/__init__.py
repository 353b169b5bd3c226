"""
The hub's hands: adapters of `hub/ports.py` to the proxy, the launcher, servers, keys and password hashes.
"""
