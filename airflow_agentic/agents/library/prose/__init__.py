"""Reading text as a person does: its blocks, sentences and words, and which of them say something."""
