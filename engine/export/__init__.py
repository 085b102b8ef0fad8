"""A trained run made useful elsewhere: a folder for Sentence Transformers, its model card, its curves."""
