"""What there is: models, their weights and settings, as plain data. The door is `rows`."""
