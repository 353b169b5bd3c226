"""
`python -m perijove` is `perijove`.
"""

from perijove.cli.main import main

if __name__ == "__main__":
    main()
