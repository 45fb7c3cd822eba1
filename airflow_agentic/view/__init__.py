"""The trace for people: one page of HTML, and Markdown."""
