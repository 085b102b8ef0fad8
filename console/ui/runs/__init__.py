"""View 2, Runs: the condition x seed matrix, launch and abort."""
