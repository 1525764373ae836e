"""clvsync.yaml: what a business is, where its data is, what it sends where."""
