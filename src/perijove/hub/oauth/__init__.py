"""
The OAuth 2 provider without a web framework or a database: what clients may be and ask (contract b). Pure.

`clients` who they are (RFC 6749, 2) · `authorize` the authorization request (4.1.1, 4.1.2) · `pkce` (RFC 7636) ·
`scopes` what a client gets of what it asks · `consent` the same in words · `token_request` the exchange (4.1.3, 5) ·
`parameters` reading either request · `errors`. The use cases are `hub/usecases/oauth_*.py`, the pages `hub/web/oauth`.
"""
