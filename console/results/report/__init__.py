"""The page of results in sections, and its outputs: text, JSON, Markdown, LaTeX, CSV and HTML."""
