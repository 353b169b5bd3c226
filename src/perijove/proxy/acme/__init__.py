"""
Certificates from an authority that speaks ACME (RFC 8555), by HTTP-01 challenges.

`settings` what was asked for · `storage` the files and who may read them · `order` one certificate obtained with the
library `acme`, in a process of its own (`perijove acme`), which ends when it is done · `keeper` starts that process
when it is time, and has the new certificate loaded. When it is time is `core/renewal.py`.
"""
