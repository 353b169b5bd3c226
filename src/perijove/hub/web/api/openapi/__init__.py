"""
The API's own description (OpenAPI 3.1): what can be called, with what, and every answer that comes.

`schemas` the shapes of bodies, `operations` one row a call, `document` both put together from the declared routes.
"""
