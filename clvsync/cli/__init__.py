"""The command line. Thin: it reads options, calls one room, and shows what came back."""
