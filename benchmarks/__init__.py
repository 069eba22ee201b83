"""How fast convmat is on the layers of real networks, and how fast others are."""
