"""View 1, Host: link, sync status, preflight."""
