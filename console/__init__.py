"""What runs before the operator: the hosts, the results, the terminal UI and its headless twin. No torch."""
