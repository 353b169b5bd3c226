"""
Ways of signing in, as plug-ins. `base` is the public contract, `registry` finds one by name,
`native` and `dummy` come with perijove, `testing` has what an author of another needs.
"""
