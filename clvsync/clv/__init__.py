"""Models of customer lifetime value: fit on an order summary, score by batches, keep as JSON."""
