"""
What may be done: the scopes of contract f. Pure: text and sets in, decisions out.

`catalog` every scope and what it implies · `grammar` reading one · `expansion` all that a set implies ·
`intersection` what two sets share · `decision` whether somebody may do something · `fields` what of a user shows.
A set of scopes is a `frozenset[str]` in canonical text (`read:users!user=ada`), so that a decision is a look-up.
"""
