"""What a session looks like: one module for each piece of the page, each watching `SearchState`."""
