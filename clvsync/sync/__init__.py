"""The one place that chains the rooms: read, score, value, plan, deliver."""
