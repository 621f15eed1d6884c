"""Reading results: what a score is worth, and how domains and networks differ."""
