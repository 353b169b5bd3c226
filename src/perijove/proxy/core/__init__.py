"""
The proxy's rules: no socket, no clock, no file.

`heads` HTTP/1.1 heads in and out · `requests` and `responses` what a head means · `framing` where a body
ends · `paths` what a path names · `targets` where a route leads · `routes` the table · `confine` what a
user's server may say to a browser · `gate` who may pass · `revocation` who may no longer · `errors`.
"""
