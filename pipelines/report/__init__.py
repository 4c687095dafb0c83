"""What is written down of a benchmark: JSON, CSV and HTML. The door is `report`."""
