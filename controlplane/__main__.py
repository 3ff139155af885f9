"""`python -m controlplane` is `pointsman`."""

from controlplane.cli import main

main()
