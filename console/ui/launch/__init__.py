"""The launch form, and the dialog that switches host, profile and experiment."""
