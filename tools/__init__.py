"""What the project checks now and then, with the standard library only: ``python -m tools.versions``."""
