"""What is asked of the service without exporting: for `check`, `plan`, the list of reports and `verify --api`."""
