"""The daemon: runs every sync on its schedule until it is told to stop."""
