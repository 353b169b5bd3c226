"""
The hub: users, sign-in, permissions, the life of every server, the pages and the REST API.

`app` composes · `web` speaks HTTP · `store` keeps · `gateways` reach other processes · `usecases`
say what happens · `ports` say what they need · `domain` and `scopes` are the rules, pure.
"""
