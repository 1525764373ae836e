"""The local stand-in for both platforms' servers, written from the platforms' written rules alone.

Nothing here is shared with the clients of `connectors.google` and `connectors.meta`: a rule that they have
misread is refused here.
"""
