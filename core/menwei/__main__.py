"""`python -m menwei`."""

from menwei.cli import main

main()
