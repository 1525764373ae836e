"""From CLV to the value sent. Pure columns in, columns out."""
