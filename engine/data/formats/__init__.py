"""Files in the user's formats: schemas, reading through the integrity gate, export."""
