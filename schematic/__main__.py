"""`python -m schematic` is the command `schematic`."""

from schematic.cli.main import main

if __name__ == "__main__":
    main()
