"""What is shipped to a host as one hashed file: it claims, queues, supervises, aborts and reads runs. Standard library only."""
