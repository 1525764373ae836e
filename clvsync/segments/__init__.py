"""Who belongs to an audience: conditions over the scores."""
