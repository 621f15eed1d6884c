"""Pictures: where they come from, their labels and domains, and how a network sees them."""
