"""The command line: one file a command, options to calls, errors to exit codes."""
