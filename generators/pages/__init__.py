"""From records and words to HTML."""
